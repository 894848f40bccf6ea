"""Square crops around faces: shifted and shortened to lie inside the picture, never stretched; thumbnails."""

from __future__ import annotations

import numpy as np


def crop_square(
    box: tuple[float, float, float, float], width: int, height: int, margin_ratio: float
) -> tuple[int, int, int]:
    """Return the square of side `margin_ratio * max(w, h)` about the centre of `box` (x, y, w, h; px).

    Returns:
        (x, y, side), whole pixels, inside the picture of `width` x `height`. The side is shortened
        only to the shorter side of the picture; else the square is shifted.
    """
    x, y, w, h = box
    side = min(max(1, round(margin_ratio * max(w, h))), width, height)
    left = min(max(0, round(x + (w - side) / 2)), width - side)
    top = min(max(0, round(y + (h - side) / 2)), height - side)
    return left, top, side


def cut(picture: np.ndarray, square: tuple[int, int, int], size_px: int) -> np.ndarray:
    """Return the square of `picture` at `size_px`: uint8 (size_px, size_px, 3), contiguous.

    Shrunk by the mean of the area (cv2.INTER_AREA), enlarged by cubic convolution (cv2.INTER_CUBIC).
    """
    import cv2

    x, y, side = square
    region = picture[y : y + side, x : x + side]
    if side == size_px:
        return np.ascontiguousarray(region)
    kind = cv2.INTER_AREA if side > size_px else cv2.INTER_CUBIC
    return cv2.resize(region, (size_px, size_px), interpolation=kind)


def shrunk(picture: np.ndarray, longer_px: int) -> np.ndarray:
    """Return `picture`, uint8 (h, w, 3), shrunk to a longer side of at most `longer_px` (cv2.INTER_AREA)."""
    import cv2

    height, width = picture.shape[:2]
    ratio = longer_px / max(height, width)
    if ratio >= 1:
        return picture
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
