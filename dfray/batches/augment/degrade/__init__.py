"""Degradations of training batches, on the training device: what happens to a picture after publication.

Kinds and units are those of `dfray.post_processing`, which measures robustness, and a screen capture, which
it does not have. Alike are the definitions of a blur's and a noise's sigma, of a scale, and of JPEG's
quality and tables. Unlike are the strengths (each image draws from ranges, the post-processings have five
fixed ones), their combinations, and H.264: training has a stand-in, the measurement has the codec.
After a training with degradations, the drops under post-processing are about kinds of changes that were
trained for.

The best entries of a challenge on degraded deepfakes train on degraded pictures (arXiv 2604.24163).
"""

from dfray.batches.augment.degrade.chain import degrade

__all__ = ["degrade"]
