"""Random changes to training batches, on the training device, each image with its own draw."""

from dfray.batches.augment.mix import Mixer, mixer
from dfray.batches.augment.pipeline import Augment

__all__ = ["Augment", "Mixer", "mixer"]
