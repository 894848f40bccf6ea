"""Random changes to a training batch, on the training device, drawn anew for each image.

Flip and crop are one bilinear resampling, brightness and contrast one multiply-add: each batch is
read and written few times, which is all that such work costs. Every draw comes from torch's global
generator of the batch's device, so seeding torch makes a run reproducible.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfray.config import AugmentSection

CROP_RATIO = (3 / 4, 4 / 3)  # width over height
ERASED_AREA, ERASED_RATIO = (0.02, 1 / 3), (0.3, 1 / 0.3)  # arXiv 1708.04896 section 3.2
BLUR_TAPS, BLUR_SIGMA_PX = 7, (0.1, 2.0)


class Augment(nn.Module):
    """float32 (B, 3, S, S) in 0..1 -> the same; between `Preprocess.pixels` and `.normalise`."""

    def __init__(self, section: AugmentSection) -> None:
        super().__init__()
        self.section = section

    def forward(self, pixels: Tensor) -> Tensor:
        section = self.section
        if section.flip or section.crop_scale:
            pixels = flip_and_crop(pixels, section.flip, section.crop_scale or (1.0, 1.0))
        if section.brightness or section.contrast:
            pixels = relight(pixels, section.brightness, section.contrast)
        if section.blur:
            pixels = blur(pixels, section.blur)
        if section.erasing:
            pixels = erase(pixels, section.erasing)
        return pixels


def flip_and_crop(pixels: Tensor, flip: float, scale: tuple[float, float]) -> Tensor:
    """Mirror with probability `flip`; cut out a rectangle and stretch it to the whole picture.

    Its area is uniform in `scale`, a range of fractions of the picture; its ratio log-uniform in
    3/4..4/3 as far as it fits; its place uniform.
    """
    area = _uniform(pixels, *scale)
    low, high = math.log(CROP_RATIO[0]), math.log(CROP_RATIO[1])
    fits = -area.log()  # a wider ratio than 1 / area is wider than the picture
    log_ratio = _between((-fits).clamp(min=low), fits.clamp(max=high))
    width, height = (area * log_ratio.exp()).sqrt(), (area / log_ratio.exp()).sqrt()
    left, top = _between(width - 1, 1 - width), _between(height - 1, 1 - height)
    mirror = 1 - 2 * _chosen(pixels, flip).to(pixels.dtype)
    return _resample(pixels, left, top, width * mirror, height)


def relight(pixels: Tensor, brightness: float, contrast: float) -> Tensor:
    """Scale the light by 1 +- `brightness`, then distances from the grey mean by 1 +- `contrast`."""
    light = _uniform(pixels, 1 - brightness, 1 + brightness)[:, None, None, None]
    spread = _uniform(pixels, 1 - contrast, 1 + contrast)[:, None, None, None]
    mean = pixels.mean(dim=(1, 2, 3), keepdim=True) * light
    return torch.addcmul(mean * (1 - spread), pixels, light * spread).clamp_(0, 1)


def blur(pixels: Tensor, probability: float) -> Tensor:
    """Gaussian blur of the chosen images, sigma uniform in 0.1..2 pixels."""
    from kornia.filters import gaussian_blur2d

    chosen = _chosen(pixels, probability)
    sigma = _uniform(pixels, *BLUR_SIGMA_PX)[chosen, None].expand(-1, 2)
    if not len(sigma):
        return pixels
    blurred = gaussian_blur2d(pixels[chosen], (BLUR_TAPS, BLUR_TAPS), sigma)
    return pixels.index_put((chosen,), blurred)


def erase(pixels: Tensor, probability: float) -> Tensor:
    """Fill a random rectangle of the chosen images with uniform noise (arXiv 1708.04896)."""
    side = pixels.shape[-1]
    area = _uniform(pixels, *ERASED_AREA)
    ratio = _uniform(pixels, *map(math.log, ERASED_RATIO)).exp()
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    left, top = _between(0 * width, 1 - width), _between(0 * height, 1 - height)
    place = (torch.arange(side, device=pixels.device) + 0.5) / side
    columns = (place >= left[:, None]) & (place < (left + width)[:, None])
    rows = (place >= top[:, None]) & (place < (top + height)[:, None])
    inside = _chosen(pixels, probability)[:, None, None] & rows[:, :, None] & columns[:, None, :]
    return torch.where(inside[:, None], torch.rand_like(pixels), pixels)


def _resample(pixels: Tensor, x: Tensor, y: Tensor, width: Tensor, height: Tensor) -> Tensor:
    """Each image's rectangle about (x, y), all (B,) in the -1..1 frame; a negative width mirrors."""
    side = pixels.shape[-1]
    centres = (torch.arange(side, device=pixels.device) * 2 + 1) / side - 1
    grid = pixels.new_empty(len(pixels), side, side, 2)
    grid[..., 0] = (x[:, None] + width[:, None] * centres)[:, None, :]
    grid[..., 1] = (y[:, None] + height[:, None] * centres)[:, :, None]
    return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def _uniform(pixels: Tensor, low: float, high: float) -> Tensor:
    """(B,) draws from low..high, one for each image."""
    return low + (high - low) * torch.rand(len(pixels), device=pixels.device)


def _between(low: Tensor, high: Tensor) -> Tensor:
    return low + (high - low) * torch.rand_like(low)


def _chosen(pixels: Tensor, probability: float) -> Tensor:
    return torch.rand(len(pixels), device=pixels.device) < probability
