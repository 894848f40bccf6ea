"""Affine resampling of a batch, each image by its own matrix, in one call of grid_sample.

A matrix (a, b, c; d, e, f) leads from a pixel of the result to one of the source, as in Pillow's
`Image.transform`: (x, y) -> (a x + b y + c, d x + e y + f), pixel centres at halves.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dfray.batches.augment.draws import to_device_of, uniform
from dfray.config import AffineSection

_SLACK = 2**-8  # levels: float32 gives 41.9999 for 42
_BELOW_ONE = 1 - 2**-24  # the largest such float32: the right and the lower edge lie outside

Matrices = NDArray[np.float64]


def warp(images: Tensor, matrices: Matrices, fill: Tensor, interpolation: str) -> Tensor:
    """Resample; pixels from outside the source are `fill`.

    Args:
        images: uint8 (N, 3, S, S).
        matrices: (N, 2, 3).
        fill: (3,) levels on the host, or one for all channels.
        interpolation: "bilinear", or "bicubic" (torch's a = -0.75 where Pillow's transform has -1).
    """
    theta = to_device_of(torch.from_numpy(_normalised(matrices, images.shape[-1])), images)
    source = F.affine_grid(theta, list(images.shape), align_corners=False)
    inside = (source.clamp(-1, _BELOW_ONE) == source).all(dim=-1)
    sampled = F.grid_sample(
        images.float(), source, mode=interpolation, padding_mode="border", align_corners=False
    )
    fill = to_device_of(fill, images).view(1, -1, 1, 1)
    sampled = sampled.add_(_SLACK).clamp_(0, 255)
    # truncated to levels, as Pillow does
    return torch.where(inside[:, None], sampled, fill).to(torch.uint8)


def _normalised(matrices: Matrices, side: int) -> NDArray[np.float32]:
    """Return the matrices between coordinates in which the picture reaches from -1 to 1."""
    theta = matrices.astype(np.float32)
    theta[:, :, 2] = matrices[:, :, :2].sum(axis=2) + matrices[:, :, 2] * (2 / side) - 1
    return theta


def about_centre(turn: Matrices, shift: Matrices, side: int) -> Matrices:
    """Return matrices (N, 2, 3) that turn (N, 2, 2) about the centre and then add `shift` (N, 2)."""
    offset = side / 2 * (1 - turn.sum(axis=2)) + shift
    return np.concatenate([turn, offset[:, :, None]], axis=2)


def rotation(degrees: Matrices) -> Matrices:
    """Return (N, 2, 2) from the result to the source, for (N,) degrees counter-clockwise."""
    angle = np.radians(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos, -sin, sin, cos], axis=1).reshape(-1, 2, 2)


def random_affine(images: Tensor, section: AffineSection, interpolation: str) -> Tensor:
    """Turn, shift and scale each of uint8 (B, 3, S, S), black outside.

    Drawn as torchvision's RandomAffine does, which resamples to the nearest pixel; here `interpolation`.
    """
    count, side = len(images), images.shape[-1]
    reach = section.shift * side
    ranges = ((-section.degrees, section.degrees), (-reach, reach), (-reach, reach), section.scale)
    degrees, x, y, scale = (uniform(count, *limits).double().numpy() for limits in ranges)
    turn = rotation(degrees) / scale[:, None, None]
    shift = np.stack([x, y], axis=1).round()
    back = -(turn @ shift[:, :, None])[:, :, 0]  # the matrix leads from the result to the source
    return warp(images, about_centre(turn, back, side), torch.zeros(1), interpolation)
