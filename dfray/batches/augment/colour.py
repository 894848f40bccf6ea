"""Changes of colour and light, on uint8 (N, 3, S, S), with Pillow's arithmetic.

Most are a table of 256 levels for each image and channel, so that any mixture of them over a batch is
one lookup. Pillow calls what an enhancement moves away from or towards its degenerate image.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dfray.batches.augment.draws import draw_indices, to_device_of, uniform

BLUR_TAPS, BLUR_SIGMA_PX = 7, (0.1, 2.0)
_RED, _GREEN, _BLUE = 19595 / 2**16, 38470 / 2**16, 7471 / 2**16


def look_up(images: Tensor, tables: Tensor) -> Tensor:
    """Replace every level by its entry in uint8 (N, 3, 256), or (N, 1, 256) for all channels."""
    tables = tables.expand(-1, images.shape[1], -1)
    return tables.gather(2, images.flatten(2).long()).view_as(images)


def blend(base: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    """Return base + factor x (images - base), truncated to levels; a factor beyond 1 extrapolates."""
    return torch.addcmul(base, factor, images - base).clamp_(0, 255).to(torch.uint8)


def grey(images: Tensor) -> Tensor:
    """Return ITU-R 601 luma as in Pillow's mode "L", whole levels: float32 (N, 3, S, S) -> (N, 1, S, S).

    Pillow's integers, of 2^-16, are below 2^24, so float32 has them exactly.
    """
    red, green, blue = torch.split(images, 1, dim=1)
    luma = (red * _RED).add_(green, alpha=_GREEN).add_(blue, alpha=_BLUE)
    whole: Tensor = luma.add_(0.5).floor_()
    return whole


def mean_level(grey: Tensor) -> Tensor:
    """Return the mean of (N, 1, S, S), a whole level: (N, 1, 1, 1)."""
    return grey.mean(dim=(1, 2, 3), keepdim=True).add_(0.5).floor_()


def smooth(images: Tensor) -> Tensor:
    """Return Pillow's 3x3 SMOOTH of float32 (N, 3, S, S), whole levels; the outermost pixels stay."""
    smoothed = images.clone()
    inner = images[..., 1:-1, 1:-1]
    sums = F.avg_pool2d(images, 3, stride=1, divisor_override=1)
    smoothed[..., 1:-1, 1:-1] = sums.add_(inner, alpha=4).div_(13).round_()
    return smoothed


def autocontrast_tables(flat: Tensor) -> Tensor:
    """Return tables that map each channel's darkest level to 0 and its brightest to 255.

    Args:
        flat: levels, int64 (N, 3, pixels).
    """
    low, high = torch.aminmax(flat, dim=2, keepdim=True)
    level = torch.arange(256, dtype=torch.float64, device=flat.device)
    scale = 255 / (high - low).clamp_(min=1).double()
    stretched = (level * scale).sub_(low * scale).clamp_(0, 255)
    return torch.where(high > low, stretched, level).to(torch.uint8)


def equalize_tables(flat: Tensor) -> Tensor:
    """Return tables that equalise each channel's histogram, by Pillow's integer rule.

    Args:
        flat: levels, int64 (N, 3, pixels).
    """
    counts = flat.new_zeros(*flat.shape[:2], 256).scatter_add_(2, flat, torch.ones_like(flat))
    brightest = counts.gather(2, flat.amax(dim=2, keepdim=True))
    step = (flat.shape[2] - brightest).floor_divide_(255)
    below = counts.cumsum(dim=2).sub_(counts)
    flattened = below.add_(step // 2).floor_divide_(step.clamp(min=1)).clamp_(max=255)
    level = torch.arange(256, device=flat.device)
    return torch.where(step > 0, flattened, level).to(torch.uint8)


def contrast_tables(images: Tensor, factor: Tensor) -> Tensor:
    """Return tables that scale distances from the mean grey by `factor` (N,)."""
    level = torch.arange(256.0, device=images.device)
    mean = mean_level(grey(images.float()))[:, 0]
    return blend(mean, level, to_device_of(factor, images)[:, None, None])


def brightness_tables(factor: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return tables that scale levels by `factor` (N,): (N, 1, 256) on the host."""
    level = np.arange(256, dtype=np.float32)
    scaled: NDArray[np.float32] = level * factor.astype(np.float32)[:, None, None]
    return scaled.clip(0, 255).astype(np.uint8)


def relight(images: Tensor, brightness: float, contrast: float) -> Tensor:
    """Scale brightness by 1 +- `brightness`, then contrast by 1 +- `contrast`, for each image."""
    count = len(images)
    if brightness:
        factor = uniform(count, 1 - brightness, 1 + brightness)
        tables = torch.from_numpy(brightness_tables(factor.double().numpy()))
        images = look_up(images, to_device_of(tables, images))
    if contrast:
        factor = uniform(count, 1 - contrast, 1 + contrast)
        images = look_up(images, contrast_tables(images, factor))
    return images


def blur(images: Tensor, probability: float) -> Tensor:
    """Blur some images by a Gaussian, 7 taps, sigma uniform in 0.1..2 pixels."""
    which = draw_indices(len(images), probability)
    if not len(which):
        return images
    from kornia.filters import gaussian_blur2d  # dispatches when it is imported, too

    sigma = uniform(len(which), *BLUR_SIGMA_PX)[:, None].expand(-1, 2)  # kornia takes it there
    which = to_device_of(which, images)
    blurred = gaussian_blur2d(images[which].float(), (BLUR_TAPS, BLUR_TAPS), sigma)
    return images.index_copy(0, which, blurred.round_().clamp_(0, 255).to(torch.uint8))
