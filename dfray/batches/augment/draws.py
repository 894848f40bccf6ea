"""What is drawn for each image. All of it is drawn on the host, from torch's global generator.

So a GPU and a CPU draw the same, and the host knows which images a change concerns without asking the
device. Only noise for pixels is drawn where the pixels are. What is drawn goes there by `beside`: nothing
here waits for a GPU, so that it is given its next step while it is busy with the last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

ATTEMPTS = 10  # torchvision's and timm's: a rectangle that does not fit is drawn again so often


def beside(host: Tensor, images: Tensor) -> Tensor:
    """`host` on the device of `images`, without waiting for what that device still has to do."""
    return host.to(images.device, non_blocking=True)


def uniform(count: int, low: float, high: float) -> Tensor:
    """(count,) float32."""
    return low + (high - low) * torch.rand(count)


def chosen(count: int, probability: float) -> Tensor:
    """Indices of the images that a change of this probability concerns: int64 (N,)."""
    return (torch.rand(count) < probability).nonzero()[:, 0]


def integers(low: int, high: Tensor) -> Tensor:
    """low..high, both included, for each of `high`."""
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
        """As torchvision draws them: area uniform, log of the ratio uniform, sides rounded, place uniform.

        Args:
            side: of the square picture they lie in.
            area: range, in fractions of the picture.
            ratio: range of width over height.
            most: a rectangle wider or higher than this is drawn again; after `ATTEMPTS` it is empty.
        """
        areas = side**2 * uniform(count * ATTEMPTS, *area).double().view(count, ATTEMPTS)
        ratios = uniform(count * ATTEMPTS, *map(math.log, ratio)).double().exp().view_as(areas)
        widths, heights = (areas * ratios).sqrt().round(), (areas / ratios).sqrt().round()
        fits = (widths <= most) & (heights <= most)
        first = fits.int().argmax(dim=1, keepdim=True)  # of equals, the first
        width, height = (
            (found * fits).gather(1, first)[:, 0].long() for found in (widths, heights)
        )
        return cls(integers(0, side - width), integers(0, side - height), width, height)
