"""Gaussian noise on every level, each image with its own sigma."""

from __future__ import annotations

import torch
from torch import Tensor

from dfray.batches.augment.draws import to_device_of, uniform
from dfray.config.degrade import NoiseSection


def draw(section: NoiseSection, count: int) -> Tensor:
    """Draw sigma in levels: (count, 1)."""
    return uniform(count, *section.sigma)[:, None]


def apply(images: Tensor, sigma: Tensor) -> Tensor:
    """Add noise of deviation `sigma` (N, 1), drawn on the device, to uint8 (N, 3, S, S)."""
    noise = torch.randn(images.shape, device=images.device)
    noisy = noise.mul_(to_device_of(sigma, images)[:, :, None, None]).add_(images)
    return noisy.round_().clamp_(0, 255).to(torch.uint8)
