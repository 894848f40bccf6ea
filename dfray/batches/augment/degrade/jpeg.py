"""JPEG compression in chains: a picture that is shared again is compressed again, at another quality.

The grid of 8x8 blocks begins at the crop's corner in every pass.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dfray.batches.augment.draws import integers, to_device_of
from dfray.batches.augment.jpeg import compress
from dfray.config.degrade import JpegSection


def draw(section: JpegSection, count: int) -> Tensor:
    """Draw the quality of each pass: int64 (count, most passes), 0 for no pass."""
    fewest, most = section.passes
    low, high = section.quality
    passes = integers(fewest, torch.full((count, 1), most))
    quality = integers(low, torch.full((count, most), high))
    return quality * (torch.arange(most) < passes)


def apply(images: Tensor, quality: Tensor) -> Tensor:
    """Compress uint8 (N, 3, S, S) once for each column of `quality` (N, passes) that is not 0."""
    for column in quality.unbind(1):
        which = column.nonzero()[:, 0]
        if len(which):
            place = to_device_of(which, images)
            images = images.index_copy(0, place, compress(images[place], column[which]))
    return images
