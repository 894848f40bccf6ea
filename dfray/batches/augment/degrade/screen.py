"""A capture of a screen by a camera: a stand-in for what arXiv 1804.03809 simulates step by step.

There a picture becomes a mosaic of red, green and blue subpixels, is seen in perspective, and is sampled by a
sensor's own mosaic. Here the beat between both grids is written down directly, as two waves of light that
cross: along the rows of subpixels, where red, green and blue are a third of a period apart, and across them.
The waves bend with the perspective. Lens distortion, demosaicing and glare are left out.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dfray.batches.augment.draws import to_device_of, uniform
from dfray.config.degrade import ScreenSection

_DISPLAY = 2.2  # exponent from levels to light


def draw(section: ScreenSection, count: int) -> Tensor:
    """Draw (count, 8): perspective in x and y, angle, two phases, periods, amplitude, gamma."""
    turn = 2 * math.pi
    return torch.stack(
        [
            uniform(count, -section.tilt, section.tilt),
            uniform(count, -section.tilt, section.tilt),
            uniform(count, 0, turn),
            uniform(count, 0, turn),
            uniform(count, 0, turn),
            uniform(count, *section.fringes),
            uniform(count, *section.moire),
            uniform(count, *section.gamma),
        ],
        dim=1,
    )


def apply(images: Tensor, drawn: Tensor) -> Tensor:
    """Capture uint8 (N, 3, S, S) as drawn on the host; nothing from outside the picture comes in."""
    columns = to_device_of(drawn, images).view(len(images), -1, 1, 1).unbind(1)
    tilt_x, tilt_y, angle, phase, other, periods, amplitude, gamma = columns
    side = images.shape[-1]
    place = (2 * torch.arange(side, device=images.device) + 1) / side - 1
    x, y = place[None, None, :], place[None, :, None]
    zoom = 1 - tilt_x.abs() - tilt_y.abs()  # the corner that is nearest stays
    shrink = zoom / (1 + tilt_x * x + tilt_y * y)
    u, v = x * shrink, y * shrink
    seen = F.grid_sample(
        images.float(), torch.stack([u, v], dim=-1), padding_mode="border", align_corners=False
    )
    along, across = u * angle.cos() + v * angle.sin(), v * angle.cos() - u * angle.sin()
    rate = math.pi * periods  # the picture is 2 wide in u
    third = torch.arange(3, device=images.device).view(1, 3, 1, 1) * (2 * math.pi / 3)
    stripes = 1 + amplitude[:, None] * ((rate * along + phase)[:, None] + third).cos()
    rows = 1 + amplitude * (rate * across + other).cos()
    light = (seen / 255).pow_(_DISPLAY) * stripes * rows[:, None]
    return light.pow_(gamma[:, None] / _DISPLAY).mul_(255).round_().clamp_(0, 255).to(torch.uint8)
