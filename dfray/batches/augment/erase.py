"""Random erasing (arXiv 1708.04896 section 3.2) as timm's mode `pixel` has it, after normalisation."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfray.batches.augment.draws import Boxes, Whole, draw_indices, to_device_of

AREA, RATIO = (0.02, 1 / 3), (0.3, 1 / 0.3)


def erase(images: Tensor, probability: float) -> Tensor:
    """Fill a rectangle of some images with normal noise: (B, 3, S, S), mean 0 and deviation 1."""
    side = images.shape[-1]
    which = draw_indices(len(images), probability)
    if not len(which):
        return images
    boxes = Boxes.draw(len(which), side, AREA, RATIO, most=side - 1).edges.numpy()
    left, top, width, height = boxes[:, :, None]
    rows = _inside(top, height, side)[:, None, :, None]
    columns = _inside(left, width, side)[:, None, None, :]
    inside = torch.from_numpy(rows), torch.from_numpy(columns)
    erased = torch.logical_and(*(to_device_of(part, images) for part in inside))
    which = to_device_of(which, images)
    selected = images[which]
    return images.index_copy(0, which, torch.where(erased, torch.randn_like(selected), selected))


def _inside(start: Whole, length: Whole, side: int) -> NDArray[np.bool_]:
    """Return which of `side` places lie in start..start + length, (N, 1) each: (N, side)."""
    place = np.arange(side)
    return (place >= start) & (place < start + length)
