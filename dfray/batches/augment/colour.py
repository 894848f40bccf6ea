"""Changes of colour and light, on uint8 (N, 3, S, S), with Pillow's arithmetic.

Most are a table of 256 levels for each image and channel, so that any mixture of them over a batch is
one lookup.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dfray.batches.augment.draws import draw_indices, to_device_of, uniform

BLUR_TAPS, BLUR_SIGMA_PX = 7, (0.1, 2.0)


def look_up(images: Tensor, tables: Tensor) -> Tensor:
    """Replace every level by its entry in uint8 (N, 3, 256), or (N, 1, 256) for all channels."""
    tables = tables.expand(-1, images.shape[1], -1)
    return tables.gather(2, images.flatten(2).long()).view_as(images)


def levels(images: Tensor) -> Tensor:
    return torch.arange(256, dtype=torch.float32, device=images.device).view(1, 1, 256)


def blend(base: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    """Return base + factor x (images - base), truncated to levels; `factor` (N,) beyond 1 extrapolates."""
    factor = to_device_of(factor.float(), images).view(-1, *[1] * (images.ndim - 1))
    return torch.add(base, factor * (images - base)).clamp_(0, 255).to(torch.uint8)


def grey(images: Tensor) -> Tensor:
    """Return ITU-R 601 luma as in Pillow's mode "L": float32 (N, 1, S, S), whole levels."""
    red, green, blue = torch.split(images.int(), 1, dim=1)
    luma: Tensor = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
    return luma.float()


def autocontrast_tables(images: Tensor) -> Tensor:
    """Return tables that map each channel's darkest level to 0 and its brightest to 255."""
    low = images.amin(dim=(2, 3))[:, :, None].double()
    high = images.amax(dim=(2, 3))[:, :, None].double()
    level = levels(images).double()
    scale = 255 / (high - low).clamp(min=1)
    stretched = (level * scale - low * scale).clamp_(0, 255)
    return torch.where(high > low, stretched, level).to(torch.uint8)


def equalize_tables(images: Tensor) -> Tensor:
    """Return tables that equalise each channel's histogram, by Pillow's integer rule."""
    flat = images.flatten(2).long()
    counts = torch.zeros(*flat.shape[:2], 256, dtype=torch.long, device=images.device)
    counts.scatter_add_(2, flat, torch.ones_like(flat))
    brightest = images.amax(dim=(2, 3)).long()[:, :, None]
    step = (flat.shape[2] - counts.gather(2, brightest)) // 255
    below = counts.cumsum(dim=2) - counts
    flattened = ((step // 2 + below) // step.clamp(min=1)).clamp_(max=255)
    return torch.where(step > 0, flattened, levels(images).long()).to(torch.uint8)


def contrast_tables(images: Tensor, factor: Tensor) -> Tensor:
    """Return tables that scale distances from the mean grey by `factor` (N,)."""
    mean = (grey(images).mean(dim=(1, 2, 3)).view(-1, 1, 1) + 0.5).floor_()
    return blend(mean, levels(images), factor)


def brightness_tables(images: Tensor, factor: Tensor) -> Tensor:
    """Return tables that scale levels by `factor` (N,)."""
    return blend(torch.zeros_like(levels(images)), levels(images), factor)


def saturate(images: Tensor, factor: Tensor) -> Tensor:
    """Scale distances from each pixel's grey by `factor` (N,)."""
    return blend(grey(images), images.float(), factor)


def sharpen(images: Tensor, factor: Tensor) -> Tensor:
    """Scale distances from Pillow's 3x3 SMOOTH by `factor` (N,); the outermost pixels stay."""
    source = images.float()
    smooth = source.clone()
    inner = F.avg_pool2d(source, 3, stride=1) * 9 + source[..., 1:-1, 1:-1] * 4
    smooth[..., 1:-1, 1:-1] = (inner / 13).round_()
    return blend(smooth, source, factor)


def relight(images: Tensor, brightness: float, contrast: float) -> Tensor:
    """Scale brightness by 1 +- `brightness`, then contrast by 1 +- `contrast`, for each image."""
    count = len(images)
    if brightness:
        factor = uniform(count, 1 - brightness, 1 + brightness)
        images = look_up(images, brightness_tables(images, factor))
    if contrast:
        factor = uniform(count, 1 - contrast, 1 + contrast)
        images = look_up(images, contrast_tables(images, factor))
    return images


def blur(images: Tensor, probability: float) -> Tensor:
    """Blur some images by a Gaussian, 7 taps, sigma uniform in 0.1..2 pixels."""
    from kornia.filters import gaussian_blur2d

    which = draw_indices(len(images), probability)
    if not len(which):
        return images
    sigma = uniform(len(which), *BLUR_SIGMA_PX)[:, None].expand(-1, 2)  # kornia takes it there
    which = to_device_of(which, images)
    blurred = gaussian_blur2d(images[which].float(), (BLUR_TAPS, BLUR_TAPS), sigma)
    return images.index_copy(0, which, blurred.round_().clamp_(0, 255).to(torch.uint8))
