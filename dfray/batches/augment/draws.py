"""Random draws for each image, made on the host from torch's global generator.

So a GPU and a CPU have the same draws, and the host selects the images of a change without waiting for the
device. Only noise for pixels is drawn on their device. `to_device_of` copies the draws: nothing here
waits for a GPU, so that the next step is queued during the current one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

ATTEMPTS = 10  # torchvision's and timm's: a rectangle that does not fit is drawn again so often


def to_device_of(host: Tensor, images: Tensor) -> Tensor:
    """Return `host` on the device of `images`, without waiting for that device's queue."""
    return host.to(images.device, non_blocking=True)


def uniform(count: int, low: float, high: float) -> Tensor:
    """Draw (count,) float32, uniform in low..high."""
    return low + (high - low) * torch.rand(count)


def draw_indices(count: int, probability: float) -> Tensor:
    """Draw the indices of the images that a change of this probability concerns: int64 (N,)."""
    return (torch.rand(count) < probability).nonzero()[:, 0]


def integers(low: int, high: Tensor) -> Tensor:
    """Draw from low..high, both included, for each of `high`."""
    return low + (torch.rand(high.shape, dtype=torch.float64) * (high - low + 1)).long()


@dataclass(frozen=True)
class Boxes:
    """Rectangles in pixels: int64 (B,) each."""

    left: Tensor
    top: Tensor
    width: Tensor
    height: Tensor

    @classmethod
    def draw(
        cls, count: int, side: int, area: tuple[float, float], ratio: tuple[float, float], most: int
    ) -> Boxes:
        """Draw as torchvision does: area uniform, log of the ratio uniform, sides rounded, place uniform.

        Args:
            side: of the square picture they lie in.
            area: range, in fractions of the picture.
            ratio: range of width over height.
            most: a rectangle wider or higher than this is drawn again; after `ATTEMPTS` it is empty.
        """
        areas = side**2 * uniform(count * ATTEMPTS, *area).double().view(count, ATTEMPTS)
        ratios = uniform(count * ATTEMPTS, *map(math.log, ratio)).double().exp().view_as(areas)
        widths, heights = (areas * ratios).sqrt().round(), (areas / ratios).sqrt().round()
        allowed = (widths <= most) & (heights <= most)
        first = allowed.int().argmax(dim=1, keepdim=True)  # argmax returns the first of equals
        width, height = (
            (sides * allowed).gather(1, first)[:, 0].long() for sides in (widths, heights)
        )
        return cls(integers(0, side - width), integers(0, side - height), width, height)
