"""From faces to batches: the balanced sample, written faces, the live stream, self-blended images."""
