"""Random erasing (arXiv 1708.04896 section 3.2) as timm's mode `pixel` has it, after normalisation."""

from __future__ import annotations

import torch
from torch import Tensor

from dfray.batches.augment.draws import Boxes, draw_indices, to_device_of

AREA, RATIO = (0.02, 1 / 3), (0.3, 1 / 0.3)


def erase(images: Tensor, probability: float) -> Tensor:
    """Fill a rectangle of some images with normal noise: (B, 3, S, S), mean 0 and deviation 1."""
    side = images.shape[-1]
    which = draw_indices(len(images), probability)
    if not len(which):
        return images
    boxes = Boxes.draw(len(which), side, AREA, RATIO, most=side - 1)
    place = torch.arange(side)
    rows, columns = (
        to_device_of((place >= start[:, None]) & (place < (start + length)[:, None]), images)
        for start, length in ((boxes.top, boxes.height), (boxes.left, boxes.width))
    )
    inside = rows[:, None, :, None] & columns[:, None, None, :]
    which = to_device_of(which, images)
    selected = images[which]
    return images.index_copy(0, which, torch.where(inside, torch.randn_like(selected), selected))
