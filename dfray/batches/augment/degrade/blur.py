"""Gaussian blur, each image with its own sigma."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dfray.batches.augment.draws import uniform
from dfray.config.degrade import BlurSection


def draw(section: BlurSection, count: int) -> Tensor:
    """Draw sigma in pixels: (count, 1)."""
    return uniform(count, *section.sigma)[:, None]


def apply(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur uint8 (N, 3, S, S) by `sigma` (N, 1) on the host; the kernel reaches three of the largest."""
    from kornia.filters import gaussian_blur2d

    reach = min(math.ceil(3 * sigma.max().item()), images.shape[-1] - 1)
    taps = 2 * reach + 1
    blurred: Tensor = gaussian_blur2d(images.float(), (taps, taps), sigma.expand(-1, 2))
    return blurred.round_().clamp_(0, 255).to(torch.uint8)
