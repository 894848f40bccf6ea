"""Search for every face in a picture with MediaPipe; most plain portraits cost one run of the model.

The model sees 192 x 192 pixels and surely finds only faces larger than about a tenth of what it looks
at. So the whole picture comes first. Where nothing or something small is found, overlapping tiles are
looked at as well: 384 pixels wide, so that heads of 80 pixels are found whatever the size of the
picture, and 768, 1536, ... for those between. Where only large faces are found, the small ones that may
stand beside them are looked for if the caller asks for it: `dfray.faces.video` looks for a hint of any in
the first picture of a video and from time to time, and searches all pictures once it has found one.

MediaPipe stands here for the RetinaFace of the papers: its boxes are square and end at the brows, where
RetinaFace's reach from chin to forehead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np

from dfray.config import FacesSection
from dfray.faces.face_detector import Detection, FaceDetector

SmallFaces = Literal["skip", "hint", "search"]

SURE_RATIO = 0.1
"""A face this large against the longer side of the picture is surely seen at first sight."""
TILE_PX = 384
HINT_TILE_PX = 576
"""Heads of 80 px show in these too, though not always; a third as many cover a picture."""
LARGEST_TILE_RATIO = 0.75
OVERLAP_RATIO = 0.25
MIN_IN_TILE_RATIO = 0.11
"""Smaller faces in a tile are mostly false; heads of 80 px are above it."""
SAME_FACE_RATIO = 0.4
"""Two boxes are one face if this much of the smaller lies in the larger."""


class FaceFinder:
    """The face detector and its search; close it, as MediaPipe does not end well by itself.

    Raises:
        ModelFileError: the model is missing, not the expected one, or cannot be loaded.
    """

    def __init__(self, settings: FacesSection) -> None:
        self._first: FaceDetector | None = None
        if settings.detector == "cascade":
            self._first = FaceDetector("short", settings)
        self._model = FaceDetector("short" if settings.detector == "short" else "full", settings)

    def find(self, picture: np.ndarray, small_faces: SmallFaces = "skip") -> list[Detection]:
        """Return the faces in `picture`, uint8 (height, width, 3) RGB, the largest first.

        Args:
            small_faces: where only large faces are found: skip the search for small ones, search if a few
                coarse looks hint at one, or search.
        """
        faces = self._first.look(picture) if self._first else []
        if not faces:
            faces = self._search(picture, small_faces)
        return sorted(faces, key=lambda face: face.box[2] * face.box[3], reverse=True)

    def close(self) -> None:
        for model in filter(None, (self._first, self._model)):
            model.close()

    def _search(self, picture: np.ndarray, small_faces: SmallFaces) -> list[Detection]:
        faces = _distinct(self._model.look(picture))
        if faces and not any_small(faces, picture):
            hinted = small_faces == "hint" and self._hints_at_more(picture, faces)
            if not (hinted or small_faces == "search"):
                return faces
        for side in _tile_sides(max(picture.shape[:2])):
            for x, y in _tiles(picture, side):
                faces += self._look_at_tile(picture, x, y, side)
        return _distinct(faces)

    def _hints_at_more(self, picture: np.ndarray, faces: list[Detection]) -> bool:
        """Return True if large tiles show anything like a face beside `faces`; many such are false."""
        if LARGEST_TILE_RATIO * max(picture.shape[:2]) <= HINT_TILE_PX:
            return False
        for x, y in _tiles(picture, HINT_TILE_PX):
            tile = picture[y : y + HINT_TILE_PX, x : x + HINT_TILE_PX]
            in_tile = [face.moved(x, y) for face in self._model.look(tile)]
            if len(_distinct(faces + in_tile)) > len(faces):
                return True
        return False

    def _look_at_tile(self, picture: np.ndarray, x: int, y: int, side: int) -> list[Detection]:
        tile = picture[y : y + side, x : x + side]
        return [
            face.moved(x, y)
            for face in self._model.look(tile)
            if max(face.box[2:]) >= MIN_IN_TILE_RATIO * side
            and _is_whole(face, (x, y), tile.shape, picture.shape)
        ]


def any_small(faces: list[Detection], picture: np.ndarray) -> bool:
    """Return True if one of the faces is too small to be surely found in one look at the whole picture."""
    longer = max(picture.shape[:2])
    return any(max(face.box[2:]) < SURE_RATIO * longer for face in faces)


def _tile_sides(longer: int) -> list[int]:
    """Return the sides of the tiles of a picture, each twice the one before; none for a small picture."""
    sides = []
    side = TILE_PX
    while side < LARGEST_TILE_RATIO * longer:
        sides.append(side)
        side *= 2
    return sides


def _tiles(picture: np.ndarray, side: int) -> Iterator[tuple[int, int]]:
    """Return the upper left corners of tiles that cover the picture and overlap by a quarter or more."""
    rows, columns = (_starts(length, side) for length in picture.shape[:2])
    return ((x, y) for y in rows for x in columns)


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    overlap = side * OVERLAP_RATIO
    count = math.ceil((length - overlap) / (side - overlap))
    return [int(start) for start in np.linspace(0, length - side, count).round()]


def _is_whole(
    face: Detection, corner: tuple[int, int], tile: tuple[int, ...], picture: tuple[int, ...]
) -> bool:
    """Return True if no inner edge of the tile cuts the face; else a neighbouring tile shows all of it."""
    for axis, length, full_length in ((0, tile[1], picture[1]), (1, tile[0], picture[0])):
        start, extent = face.box[axis], face.box[axis + 2]
        if start < 0 < corner[axis]:
            return False
        if start + extent > length and corner[axis] + length < full_length:
            return False
    return True


def _distinct(detections: list[Detection]) -> list[Detection]:
    """Return each face once: of two boxes of one face, the one of higher score (non-maximum suppression)."""
    distinct: list[Detection] = []
    for face in sorted(detections, key=lambda face: face.score, reverse=True):
        if all(_shared(face.box, better.box) < SAME_FACE_RATIO for better in distinct):
            distinct.append(face)
    return distinct


def _shared(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Return the area common to two boxes over the area of the smaller."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    smaller = min(a[2] * a[3], b[2] * b[3])
    return max(0.0, width) * max(0.0, height) / smaller if smaller > 0 else 0.0
