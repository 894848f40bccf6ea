"""Batches from faces: the balanced sample, written faces, the live stream, augmentation, self-blending."""
