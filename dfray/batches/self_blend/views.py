"""Two views of one face: the source-target generator of arXiv 2204.08376 section 3.2.

One of the two, at random, gets changed colours and sharpness; the source is then slightly stretched and
moved. So the two differ as the two faces of a swap do: in statistics and in landmarks.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dfray.batches.self_blend.draws import Draws
from dfray.config import PairShiftSection, SelfBlendSection

DOWNSCALES = (2, 4)
SHARPENING = (0.3, 1.0)  # weight of the difference to a 3 x 3 mean


def source_and_target(
    pixels: Tensor, draws: Draws, section: SelfBlendSection
) -> tuple[Tensor, Tensor]:
    """Return two views of `pixels`, source and target, float32 (B, 3, S, S) in 0..1."""
    changed = change_frequency(change_colour(pixels, draws, section), draws)
    is_source = draws.coin()
    source = torch.where(is_source, changed, pixels)
    target = torch.where(is_source, pixels, changed)
    return displace(source, draws, section), target


def change_colour(pixels: Tensor, draws: Draws, section: SelfBlendSection) -> Tensor:
    """Shift red, green and blue; hue, saturation and value; brightness and contrast."""
    from kornia.color import hsv_to_rgb, rgb_to_hsv

    shifts = torch.cat([draws.within(section.rgb) for _ in range(3)], dim=1)
    hue, saturation, value = rgb_to_hsv((pixels + shifts).clamp(0, 1)).split(1, dim=1)
    hue = (hue + draws.within(section.hue) * 2 * math.pi) % (2 * math.pi)
    saturation = (saturation + draws.within(section.saturation)).clamp(0, 1)
    value = (value + draws.within(section.value)).clamp(0, 1)
    shifted = hsv_to_rgb(torch.cat((hue, saturation, value), dim=1))
    light, spread = 1 + draws.within(section.brightness), 1 + draws.within(section.contrast)
    mean = shifted.mean(dim=(1, 2, 3), keepdim=True)
    changed: Tensor = ((shifted - mean) * spread + mean) * light
    return changed.clamp(0, 1)


def change_frequency(pixels: Tensor, draws: Draws) -> Tensor:
    """Remove details (down- and upscaling) or sharpen them, each for half of the faces."""
    side = pixels.shape[-1]
    factor = draws.one_of(DOWNSCALES)
    coarse = pixels
    for scale in DOWNSCALES:
        small = F.interpolate(pixels, size=(side // scale, side // scale), mode="area")
        large = F.interpolate(small, size=(side, side), mode="bilinear")
        coarse = torch.where(factor == scale, large, coarse)
    smooth = F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    sharp = (pixels + draws.between(*SHARPENING) * (pixels - smooth)).clamp(0, 1)
    return torch.where(draws.coin(), coarse, sharp)


def displace(pixels: Tensor, draws: Draws, section: SelfBlendSection) -> Tensor:
    """Stretch width and height by 1 +- `scale`, independently, and move by +- `shift` of the side.

    Outside the picture its edge is repeated; the paper pads with black, which would be visible if a face
    fills its crop.
    """
    side = pixels.shape[-1]
    centres = (torch.arange(side, device=pixels.device) * 2 + 1) / side - 1
    x, y = (
        centres / (1 + draws.within(section.scale)[:, 0, 0])
        + 2 * draws.within(section.shift)[:, 0, 0]
        for _ in range(2)
    )
    grid = torch.stack(
        (x[:, None, :].expand(-1, side, -1), y[:, :, None].expand(-1, -1, side)), dim=-1
    )
    return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def shift_alike(
    views: tuple[Tensor, Tensor], draws: Draws, section: PairShiftSection
) -> tuple[Tensor, Tensor]:
    """Shift the colours of two views, float32 (B, 3, S, S) in 0..1 each, by the same draws for both."""
    none = torch.zeros((), device=views[0].device)
    shifts = torch.cat([draws.within(section.rgb) for _ in range(3)], dim=1)
    shifts = torch.where(draws.between(0, 1) < section.probability, shifts, none)
    light, spread = draws.within(section.brightness), draws.within(section.contrast)
    is_lit = draws.between(0, 1) < section.probability
    light, spread = (torch.where(is_lit, value, none) for value in (light, spread))
    first, second = (
        ((view + shifts).clamp(0, 1) * (1 + spread) + light).clamp(0, 1) for view in views
    )
    return first, second
