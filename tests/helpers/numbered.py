"""Pictures that carry their number, which lossy coding, scaling and other colours leave readable."""

from __future__ import annotations

import numpy as np

N_BITS = 10
_CONTRAST = 40
"""Least difference of a bit from its opposite, in grey values, in a picture that is not torn."""


def numbered_pictures(n: int, width: int = 160, height: int = 96) -> list[np.ndarray]:
    """Return `n` pictures, uint8 RGB: bars for the bits of the number above, for their opposites below."""
    return [numbered_picture(number, width, height) for number in range(n)]


def numbered_picture(number: int, width: int = 160, height: int = 96) -> np.ndarray:
    bits = np.array([number >> place & 1 for place in range(N_BITS)])
    columns = bits[np.arange(width) * N_BITS // width]
    half = height // 2
    rows = np.concatenate([np.tile(columns, (half, 1)), np.tile(1 - columns, (height - half, 1))])
    return np.repeat((48 + 160 * rows)[..., None], 3, axis=2).astype(np.uint8)


def number_of(image: np.ndarray) -> int | None:
    """Return the number that a picture carries; none if it is torn."""
    height, width = image.shape[:2]
    at = (np.arange(N_BITS) * 2 + 1) * width // (2 * N_BITS)
    reach = max(1, width // (6 * N_BITS))
    grey = image.astype(int).mean(axis=2)
    above, below = (
        np.array([grey[rows, x - reach : x + reach].mean() for x in at])
        for rows in (slice(height // 8, height * 3 // 8), slice(height * 5 // 8, height * 7 // 8))
    )
    if (np.abs(above - below) < _CONTRAST).any():
        return None
    return int(((above > below) << np.arange(N_BITS)).sum())
