"""Random draws for each image, made on the host from torch's global generator.

So a GPU and a CPU have the same draws, and the host selects the images of a change without waiting for the
device. Only noise for pixels is drawn on their device. `to_device_of` copies the draws: nothing here
waits for a GPU, so that the next step is queued during the current one. What is computed from draws alone is
numpy's: of a hundred numbers, an operation of torch is mostly its own dispatch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ATTEMPTS = 10  # torchvision's and timm's: a rectangle that does not fit is drawn again so often
Whole = NDArray[np.int64]


def to_device_of(host: Tensor, images: Tensor) -> Tensor:
    """Return `host` on the device of `images`, without waiting for that device's queue."""
    return host.to(images.device, non_blocking=True)


def uniform(count: int, low: float, high: float) -> Tensor:
    """Draw (count,) float32, uniform in low..high."""
    return low + (high - low) * torch.rand(count)


def draw_indices(count: int, probability: float) -> Tensor:
    """Draw the indices of the images that a change of this probability concerns: int64 (N,)."""
    return torch.from_numpy(np.flatnonzero(torch.rand(count).numpy() < probability))


def integers(low: int, high: Tensor) -> Tensor:
    """Draw from low..high, both included, for each of `high`."""
    return low + (torch.rand(high.shape, dtype=torch.float64) * (high - low + 1)).long()


@dataclass(frozen=True)
class Boxes:
    """Rectangles in pixels.

    Attributes:
        edges: int64 (4, B) on the host: left, top, width and height.
    """

    edges: Tensor

    @property
    def left(self) -> Tensor:
        return self.edges[0]

    @property
    def top(self) -> Tensor:
        return self.edges[1]

    @property
    def width(self) -> Tensor:
        return self.edges[2]

    @property
    def height(self) -> Tensor:
        return self.edges[3]

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
        place, shape = (
            torch.rand(2, n, dtype=torch.float64).numpy() for n in (count, count * ATTEMPTS)
        )
        areas = side**2 * (area[0] + (area[1] - area[0]) * shape[0])
        narrowest, widest = map(math.log, ratio)
        stretch = np.exp((narrowest + (widest - narrowest) * shape[1]) / 2)
        sides = np.sqrt(areas) * np.stack([stretch, 1 / stretch])
        sides = sides.round().reshape(2, count, ATTEMPTS)
        fits = (sides <= most).all(axis=0)
        first = fits.argmax(axis=1)  # the first of equals
        sides = (sides * fits)[:, np.arange(count), first]
        corners = np.floor(place * (side - sides + 1))
        return cls(torch.from_numpy(np.concatenate([corners, sides]).astype(np.int64)))
