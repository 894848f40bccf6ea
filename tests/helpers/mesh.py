"""Landmarks without a model: 468 points of an ellipse, as a face fills its crop."""

from __future__ import annotations

import torch
from torch import Tensor


def oval_landmarks(
    count: int, centre: tuple[float, float] = (0.5, 0.52), half: tuple[float, float] = (0.28, 0.36)
) -> Tensor:
    """float32 (count, 468, 2), in sides of the crop: the outline and the inside of an ellipse."""
    generator = torch.Generator().manual_seed(0)
    angle = torch.linspace(0, 2 * torch.pi, 469)[:-1]
    radius = torch.rand(468, generator=generator).sqrt()
    radius[::4] = 1
    unit = torch.stack((angle.cos(), angle.sin()), dim=-1) * radius[:, None]
    return (torch.tensor(centre) + torch.tensor(half) * unit).expand(count, -1, -1).clone()
