"""Affine resampling of a batch, each image by its own matrix, in one call of grid_sample.

A matrix (a, b, c, d, e, f) leads from a pixel of the result to one of the source, as in Pillow's
`Image.transform`: (x, y) -> (a x + b y + c, d x + e y + f), pixel centres at halves.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dfray.batches.augment.draws import to_device_of, uniform
from dfray.config import AffineSection

_SLACK = 2**-8  # levels: float32 gives 41.9999 for 42


def warp(images: Tensor, matrices: Tensor, fill: Tensor, interpolation: str) -> Tensor:
    """Resample; pixels from outside the source are `fill`.

    Args:
        images: uint8 (N, 3, S, S).
        matrices: (N, 6) on the host.
        fill: (3,) levels, or one for all channels.
        interpolation: "bilinear", or "bicubic" (torch's a = -0.75 where Pillow's transform has -1).
    """
    side = images.shape[-1]
    a, b, c, d, e, f = to_device_of(matrices.float(), images).view(-1, 6, 1, 1).unbind(1)
    place = torch.arange(side, device=images.device) + 0.5
    x, y = place[None, None, :], place[None, :, None]
    source = torch.stack([a * x + b * y + c, d * x + e * y + f], dim=-1)
    inside = ((source >= 0) & (source < side)).all(dim=-1)
    sampled = F.grid_sample(
        images.float(),
        source * (2 / side) - 1,
        mode=interpolation,
        padding_mode="border",
        align_corners=False,
    )
    fill = to_device_of(fill, images).view(1, -1, 1, 1)
    sampled = (sampled + _SLACK).clamp_(0, 255).floor_()  # truncated to levels, as Pillow does
    return torch.where(inside[:, None], sampled, fill).to(torch.uint8)


def about_centre(turn: Tensor, shift: Tensor, side: int) -> Tensor:
    """Return matrices (N, 6) that turn (N, 2, 2) about the picture's centre and then add `shift` (N, 2)."""
    centre = torch.full((2,), side / 2, dtype=turn.dtype)
    offset = centre - turn @ centre + shift
    return torch.cat([turn, offset[:, :, None]], dim=2).flatten(1)


def rotation(degrees: Tensor) -> Tensor:
    """Return (N, 2, 2) from the result to the source, for (N,) degrees counter-clockwise."""
    angle = degrees.deg2rad()
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos, -sin, sin, cos], dim=1).view(-1, 2, 2)


def random_affine(images: Tensor, section: AffineSection, interpolation: str) -> Tensor:
    """Turn, shift and scale each of uint8 (B, 3, S, S), black outside.

    Drawn as torchvision's RandomAffine does, which resamples to the nearest pixel; here `interpolation`.
    """
    count, side = len(images), images.shape[-1]
    degrees = uniform(count, -section.degrees, section.degrees)
    reach = section.shift * side
    shift = torch.stack([uniform(count, -reach, reach) for _ in range(2)], dim=1).round()
    turn = rotation(degrees) / uniform(count, *section.scale)[:, None, None]
    back = -(turn @ shift[:, :, None])[:, :, 0]  # the matrix leads from the result to the source
    return warp(images, about_centre(turn, back, side), torch.zeros(1), interpolation)
