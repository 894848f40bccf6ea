"""Blending mask between source and target: the mask generator of arXiv 2204.08376 section 3.3.

The hull of the landmarks is a field of distances to its edge, computed on a coarse grid and sampled
at displaced places: one resampling deforms it and brings it to full size.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dfray.batches.self_blend.draws import Draws
from dfray.config import SelfBlendSection

DIRECTIONS = 48
"""Half-planes that bound the hull; a circle comes out 0.2 % too large."""
FIELD_SIDE = 64
CONTROL_POINTS, ELASTIC_POINTS = 4, 8
"""Points along a side of the two grids of displacements. The coarse one is the landmark transformation of
Face X-ray (arXiv 1912.13458 section 3), the fine one an elastic deformation."""
SOFTNESS = (0.02, 0.1)
"""Radii of the two Gaussian filters, over the extent of the face."""
FULL = 0.99
"""A filtered mask below it counts as less than 1 (TF32 is that coarse)."""


def blending_mask(landmarks: Tensor, side: int, draws: Draws, section: SelfBlendSection) -> Tensor:
    """Return the weight of the source in each pixel: float32 (B, 1, side, side) in 0..1.

    Args:
        landmarks: float32 (B, 468, 2), x and y in sides of the picture.
    """
    field = deformed_field(landmarks, side, draws, section)
    mask = soften((field * side + 0.5).clamp(0, 1), extent(landmarks), draws)
    return mask * draws.one_of(section.ratios)


def extent(landmarks: Tensor) -> Tensor:
    """Return the larger side of the landmarks' box, at most that of the picture: (B, 1, 1, 1)."""
    box = landmarks.amax(dim=1) - landmarks.amin(dim=1)
    return box.amax(dim=1).clamp(max=1)[:, None, None, None]


def hull_field(landmarks: Tensor, side: int) -> Tensor:
    """Return distances to the edge of the landmarks' convex hull, positive inside: (B, 1, side, side).

    In sides of the picture, at the middle of each of side x side cells; exact inside, and outside the
    distance to the farthest of the half-planes that exclude the place.
    """
    angles = torch.arange(DIRECTIONS, device=landmarks.device) * (2 * math.pi / DIRECTIONS)
    normals = torch.stack((angles.cos(), angles.sin()))
    reach = (landmarks @ normals).amax(dim=1)
    centres = (torch.arange(side, device=landmarks.device) + 0.5) / side
    along = centres[None, :, None] * normals[0] + centres[:, None, None] * normals[1]
    return (reach[:, None, None] - along).amin(dim=-1)[:, None]


def deformed_field(landmarks: Tensor, side: int, draws: Draws, section: SelfBlendSection) -> Tensor:
    """Return the hull's field, each place moved by up to `deform` plus `elastic` times the face's extent."""
    coarse = _displacement(CONTROL_POINTS, side, draws) * section.deform
    fine = _displacement(ELASTIC_POINTS, side, draws) * section.elastic
    moved = (coarse + fine) * extent(landmarks)
    centres = (torch.arange(side, device=landmarks.device) + 0.5) / side
    x, y = moved[:, 0] + centres[None, None, :], moved[:, 1] + centres[None, :, None]
    return F.grid_sample(
        hull_field(landmarks, FIELD_SIDE),
        torch.stack((x, y), dim=-1) * 2 - 1,
        padding_mode="border",
        align_corners=False,
    )


def soften(mask: Tensor, extents: Tensor, draws: Draws) -> Tensor:
    """Filter, set values below 1 to 0, filter again: a soft edge, moved inward or outward.

    The mask shrinks if the first filter is the wider one, and grows if it is the second.
    """
    largest = math.ceil(SOFTNESS[1] * mask.shape[-1])
    first, second = (draws.between(*SOFTNESS) * extents * mask.shape[-1] for _ in range(2))
    core = (gaussian(mask, first, largest) >= FULL).to(mask.dtype)
    return gaussian(core, second, largest).clamp(0, 1)


def gaussian(mask: Tensor, radius: Tensor, largest: int) -> Tensor:
    """Filter (B, 1, S, S) with Gaussians of two sigma a radius, in px (B, 1, 1, 1), ending there."""
    place = torch.arange(-largest, largest + 1, device=mask.device)
    weights = torch.exp(-2 * (place / radius) ** 2) * (place.abs() <= radius)
    weights = weights / weights.sum(dim=-1, keepdim=True)
    batch = F.pad(mask.transpose(0, 1), (largest,) * 4, mode="replicate")
    rows = F.conv2d(batch, weights, groups=len(mask))
    return F.conv2d(rows, weights.transpose(2, 3), groups=len(mask)).transpose(0, 1)


def _displacement(points: int, side: int, draws: Draws) -> Tensor:
    """Return a smooth random field, (B, 2, side, side) in -1..1, from points x points random vectors."""
    numbers = draws.take(2 * points * points) * 2 - 1
    grid = numbers.reshape(-1, 2, points, points)
    return F.interpolate(grid, size=(side, side), mode="bilinear", align_corners=True)
