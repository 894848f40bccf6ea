"""Drawing tools: soft-edged regions on a grid in head units, bumps and smooth noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating]  # (H, W)
Picture = NDArray[np.floating]  # (H, W, 3) RGB, 0..255

HEAD_RADIUS = 0.29  # half the head's height, over the picture's side
HEAD_CENTRE = (0.5, 0.475)  # of the picture's side, x and y


@dataclass(frozen=True)
class Grid:
    """Head-unit coordinates of a window of the picture; `pixel` is the size of one pixel.

    rows and columns are the window's place in the whole picture.
    """

    x: Plane
    y: Plane
    pixel: float
    rows: slice
    columns: slice

    @classmethod
    def of_picture(cls, size_px: int) -> Grid:
        pixel = 1 / (HEAD_RADIUS * size_px)
        ticks = np.arange(size_px, dtype=np.float32) + 0.5
        x, y = ((ticks - centre * size_px) * pixel for centre in HEAD_CENTRE)
        columns, rows = np.meshgrid(x, y)
        return cls(columns, rows, pixel, slice(0, size_px), slice(0, size_px))

    def window(self, left: float, top: float, right: float, bottom: float) -> Grid:
        """Return the window of a picture's grid between these head-unit coordinates."""
        first_column, last_column = np.searchsorted(self.x[0], (left, right))
        first_row, last_row = np.searchsorted(self.y[:, 0], (top, bottom))
        rows, columns = slice(first_row, last_row), slice(first_column, last_column)
        return Grid(self.x[rows, columns], self.y[rows, columns], self.pixel, rows, columns)

    def inside(self, distance: Plane, blur: float = 0.0) -> Plane:
        """Return the cover, 0..1, of the region of negative `distance` (head units), antialiased.

        blur: width of a softer edge, head units.
        """
        return np.asarray(np.clip(0.5 - distance / max(self.pixel, blur), 0, 1))

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, blur: float = 0.0) -> Plane:
        radius = np.hypot((self.x - cx) / rx, (self.y - cy) / ry)
        return self.inside((radius - 1) * min(rx, ry), blur)

    def bump(self, cx: float, cy: float, sx: float, sy: float) -> Plane:
        """Return a Gaussian of height 1."""
        return np.exp(-0.5 * (((self.x - cx) / sx) ** 2 + ((self.y - cy) / sy) ** 2))

    def pair(self, cx: float, cy: float, sx: float, sy: float) -> Plane:
        """Return two such Gaussians, at +cx and -cx."""
        across = (np.abs(self.x) - cx) / sx
        return np.exp(-0.5 * (across**2 + ((self.y - cy) / sy) ** 2))


def smoothstep(low: float, high: float, value: Plane) -> Plane:
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def paint(picture: Picture, colour: object, cover: Plane) -> None:
    """Lay `colour` (an RGB triple or a picture) over `picture` in place, `cover` 0..1."""
    picture += cover[..., None] * (np.asarray(colour, np.float32) - picture)


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], sigma_x: float, sigma_y: float = 0.0
) -> Plane:
    """Return Gaussian noise of zero mean and unit variance, blurred by sigma pixels."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigma_x, sigmaY=sigma_y or sigma_x))
    return np.asarray((smooth - smooth.mean()) / smooth.std(), np.float32)
