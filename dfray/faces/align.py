"""Alignment of a face: the turned square whose points lie where those of a template do.

The similarity transform (turn, scale and shift) of least squares onto the five points of ArcFace's template
(arXiv 1801.07698), in a square `margin_ratio` times as large: DeepfakeBench's alignment (arXiv 2307.01426),
which arXiv 2503.19683 trains on. The points differ: here they are the middles of the eyes, the nose tip
and the corners of the mouth in MediaPipe's mesh, or, where that finds no face, the detector's own eyes, nose
and middle of the mouth. DeepfakeBench has dlib's points 37, 44, 30, 49 and 55, beside those places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dfray.faces.face_detector import Detection

_TEMPLATE_PX = 112
_EYES_AND_NOSE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366))
_MOUTH_CORNERS = ((41.5493, 92.3655), (70.7299, 92.2041))
_FIVE = np.array((*_EYES_AND_NOSE, *_MOUTH_CORNERS))
_FOUR = np.array((*_EYES_AND_NOSE, np.mean(_MOUTH_CORNERS, axis=0)))
_MESH = ((33, 133), (263, 362), (1,), (61,), (291,))
"""Points of the mesh whose mean is the right eye, left eye, tip of the nose, and corners of the mouth."""


@dataclass(frozen=True)
class Alignment:
    """The map from a picture to the aligned crop of a face.

    Attributes:
        turn: float (2, 2), of px of the picture to px of the crop, both from the upper left edge.
        shift: float (2,), px of the crop.
        size_px: side of the crop.
    """

    turn: np.ndarray
    shift: np.ndarray
    size_px: int

    @classmethod
    def of(
        cls, face: Detection, mesh: np.ndarray | None, size_px: int, margin_ratio: float
    ) -> Alignment:
        """Return the alignment of a face.

        Args:
            mesh: its landmarks, (468, 2) px of the picture; none: the detector's points are used.
            margin_ratio: side of the crop over that of the template.
        """
        if mesh is not None:
            points, template = np.stack([mesh[list(at)].mean(axis=0) for at in _MESH]), _FIVE
        else:
            points, template = np.reshape(face.keypoints, (6, 2))[:4], _FOUR
        centred = ((template + 0.5) / _TEMPLATE_PX - 0.5) / margin_ratio
        turn, shift = _similarity(points, (centred + 0.5) * size_px)
        return cls(turn, shift, size_px)

    @property
    def scale(self) -> float:
        """Px of the crop in one px of the picture."""
        return float(np.hypot(*self.turn[:, 0]))

    def place(self, points: np.ndarray) -> np.ndarray:
        """Return points of the picture, (N, 2) px, in px of the crop."""
        placed: np.ndarray = points @ self.turn.T + self.shift
        return placed

    def square(self) -> tuple[int, int, int]:
        """Return (x, y, side) of the upright square about the crop's middle, px of the picture."""
        side = self.size_px / self.scale
        middle = np.linalg.solve(self.turn, self.size_px / 2 - self.shift)
        x, y = np.rint(middle - side / 2).astype(int).tolist()
        return x, y, max(1, round(side))

    def cut(self, picture: np.ndarray) -> np.ndarray:
        """Return the crop, uint8 (size_px, size_px, 3); it is black outside of the picture.

        Bilinear, as in DeepfakeBench; a face more than twice as large is shrunk by the mean of the area.
        """
        import cv2

        times = max(1, int(1 / self.scale))
        turn = self.turn * times
        half = np.array((0.5, 0.5))  # OpenCV counts from the first px's middle
        shift = self.shift * times + turn @ half - half
        side = self.size_px * times
        crop = cv2.warpAffine(picture, np.column_stack((turn, shift)), (side, side))
        if times == 1:
            return crop
        size = (self.size_px, self.size_px)
        return cv2.resize(crop, size, interpolation=cv2.INTER_AREA)


def _similarity(points: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return turn (2, 2) and shift (2,) that lay `points` onto `targets` with the least squared error.

    In complex numbers: targets = a * points + b, whose least squares have a closed form.
    """
    z, w = (
        np.ascontiguousarray(p, np.float64).view(np.complex128)[:, 0] for p in (points, targets)
    )
    centred = z - z.mean()
    a = (centred.conj() @ (w - w.mean())) / max(float((np.abs(centred) ** 2).sum()), 1e-12)
    b = w.mean() - a * z.mean()
    return np.array(((a.real, -a.imag), (a.imag, a.real))), np.array((b.real, b.imag))
