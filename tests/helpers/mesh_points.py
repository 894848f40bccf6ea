"""Points of MediaPipe's face mesh by name."""

from __future__ import annotations

import numpy as np

# Corners of the eyes, outer lip above and below, chin and top of the face.
RIGHT_EYE, LEFT_EYE, LIPS, CHIN, TOP = (33, 133), (362, 263), (0, 17), 152, 10


def middle(points: np.ndarray, ends: tuple[int, int]) -> np.ndarray:
    """Return the point halfway between two points of the mesh: (2,)."""
    return points[list(ends)].mean(axis=0)


def eyes(points: np.ndarray) -> np.ndarray:
    """Return the centres of the right and the left eye: (2, 2)."""
    return np.stack([middle(points, RIGHT_EYE), middle(points, LEFT_EYE)])
