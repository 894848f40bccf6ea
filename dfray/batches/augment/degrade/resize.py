"""Resizing down (bilinear, antialiased) and up again (bicubic), each image by its own scale.

The smaller picture has as many whole pixels as the scale gives, and whole levels, like a file of that size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dfray.batches.augment.draws import to_device_of, uniform
from dfray.config.degrade import ResizeSection


def draw(section: ResizeSection, count: int) -> Tensor:
    """Draw the scale: (count, 1)."""
    return uniform(count, *section.scale)[:, None]


def apply(images: Tensor, scale: Tensor) -> Tensor:
    """Resize uint8 (N, 3, S, S) to round(scale S) pixels and back; `scale` (N, 1) on the host."""
    side = images.shape[-1]
    small = (scale[:, 0] * side).round().clamp(min=1)
    largest = int(small.max())
    small = to_device_of(small, images)[:, None, None]
    down = _down(small, side, largest)
    shrunk = (down[:, None] @ images.float() @ down.transpose(1, 2)[:, None]).round_()
    centre = (torch.arange(side, device=images.device) + 0.5) * small[:, 0] / side
    x = (centre * (2 / largest) - 1)[:, None, :].expand(-1, side, -1)
    grid = torch.stack([x, x.transpose(1, 2)], dim=-1)
    grown = F.grid_sample(shrunk, grid, mode="bicubic", padding_mode="border", align_corners=False)
    return grown.round_().clamp_(0, 255).to(torch.uint8)


def _down(small: Tensor, side: int, largest: int) -> Tensor:
    """Return the weights of `side` pixels in those of pictures of `small` (N, 1, 1): (N, largest, side).

    Rows from `small` on repeat the last one, as the edge that the bicubic kernel reads.
    """
    output, pixel = (torch.arange(n, device=small.device) for n in (largest, side))
    scale = side / small
    centre = (torch.minimum(output[:, None], small - 1) + 0.5) * scale
    weights = 1 - (pixel + 0.5 - centre).abs_() / scale
    weights = weights.clamp_(min=0)
    return weights.div_(weights.sum(dim=2, keepdim=True))
