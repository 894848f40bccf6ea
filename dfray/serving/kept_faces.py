"""Pictures of a bounded number of a video's faces, chosen while the faces are scored.

How suspicious a face is against the others is known at the end alone, and a long video has more crops than
memory holds. So the faces of the highest and of the lowest fake probability so far are kept, and some that
are spread evenly over all faces.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np

EXTREME = 12
"""Faces kept of each end of the scale."""
SPREAD = 32
"""Most faces that are kept evenly; at least half as many of a long video."""


@dataclass(frozen=True, eq=False)
class KeptFace:
    """Pictures of one face.

    Attributes:
        crop: uint8 (S, S, 3) RGB, as it was scored.
        square: x, y, side of the crop in the upright frame, px.
        thumbnail: its frame, uint8 (h, w, 3) RGB; None: not kept.
    """

    crop: np.ndarray = field(repr=False)
    square: tuple[int, int, int]
    thumbnail: np.ndarray | None = field(default=None, repr=False)


class KeptFaces:
    """The pictures that are kept so far."""

    def __init__(self) -> None:
        self._highest: list[tuple[float, int]] = []
        self._lowest: list[tuple[float, int]] = []
        self._even: list[int] = []
        self._stride = 1
        self._pictures: dict[int, KeptFace] = {}

    def add(self, number: int, probability: float, face: KeptFace) -> None:
        """Keep a face if it is one to keep, and forget those that no longer are.

        Args:
            number: of the face in its video; each is one more than the one before.
        """
        self._pictures[number] = face
        for heap, key in ((self._highest, probability), (self._lowest, -probability)):
            heapq.heappush(heap, (key, -number))
            if len(heap) > EXTREME:
                heapq.heappop(heap)
        if number % self._stride == 0:
            self._even.append(number)
        if len(self._even) > SPREAD:
            self._stride *= 2
            self._even = [kept for kept in self._even if kept % self._stride == 0]
        wanted = {-kept for _, kept in (*self._highest, *self._lowest)} | set(self._even)
        self._pictures = {kept: self._pictures[kept] for kept in sorted(wanted)}

    def pictures(self) -> dict[int, KeptFace]:
        """Return number -> pictures of the faces that are kept."""
        return dict(self._pictures)
