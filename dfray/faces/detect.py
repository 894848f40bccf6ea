"""Search for every face in a picture with MediaPipe; most plain portraits cost one run of the model.

The model sees 192 x 192 pixels and surely finds only faces larger than about a tenth of what it looks
at. So the whole picture comes first. Where nothing or something small is found, overlapping tiles are
looked at as well: 384 pixels wide, so that heads of 80 pixels are found whatever the size of the
picture, and 768, 1536, ... for those between. Before that, one look from further away, with a border round
the picture, shows a face that fills it. Where only large faces are found, the small ones that may
stand beside them are looked for if the caller asks for it: `dfray.faces.video` looks for a hint of any in
the first picture of a video and from time to time, and searches all pictures once it has found one.

MediaPipe stands here for the RetinaFace of arXiv 2508.19730 and dlib's detector of arXiv 2503.19683: its
boxes are square and end at the brows, where RetinaFace's reach from chin to forehead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dfray.config import FacesSection
from dfray.faces.confirmation import Confirmation
from dfray.faces.face_detector import Detection, FaceDetector
from dfray.faces.landmarks import LandmarkFinder
from dfray.faces.model_file import Kind

SmallFaces = Literal["skip", "hint", "search"]

SURE_RATIO = 0.1
"""A face this large against the longer side of the picture is surely seen at first sight."""
TILE_PX = 384
HINT_TILES_PX = (720, 576)
"""Heads of 80 px show in these too, though not always: two cover a picture of 720p, the search takes 17."""
HINT_OVERLAP_RATIO = 0.2
LARGEST_TILE_RATIO = 0.75
OVERLAP_RATIO = 0.25
MIN_IN_TILE_RATIO = 0.11
"""Smaller faces in a tile are mostly false; heads of 80 px are above it."""
BORDER_RATIO = 1.0
"""Width of the border in a look from further away, over the longer side, for faces of the whole side."""
FURTHER_PX = 256
"""Longer side of the picture in that look: the face fills it, and the model sees no more of it."""
FILLING_RATIO = 0.4
"""A smaller face, over the longer side, is left to the other looks."""
SAME_FACE_RATIO = 0.4
"""Two boxes are one face if this much of the smaller lies in the larger."""


@dataclass(frozen=True)
class SearchResult:
    """The faces of one picture.

    Attributes:
        faces: the largest first.
        n_doubtful: detections that were refused, as nothing confirmed them.
    """

    faces: list[Detection]
    n_doubtful: int = 0


class FaceFinder:
    """The face detector and its search; close it after use.

    Args:
        landmarks: the landmark model, if it is loaded already.

    Raises:
        ModelFileError: a model is missing, not the expected one, or cannot be loaded.
    """

    def __init__(self, settings: FacesSection, landmarks: LandmarkFinder | None = None) -> None:
        self._first: FaceDetector | None = None
        if settings.detector == "cascade":
            self._first = FaceDetector("short", settings)
        self._model = FaceDetector("short" if settings.detector == "short" else "full", settings)
        if settings.doubt_score and landmarks is None:
            landmarks = LandmarkFinder(settings.detector_model)
        self._confirmation = Confirmation(settings, landmarks)

    def find(
        self,
        picture: np.ndarray,
        small_faces: SmallFaces = "skip",
        before: Sequence[Detection] = (),
    ) -> SearchResult:
        """Return the faces in `picture`, uint8 (height, width, 3) RGB.

        Args:
            small_faces: where only large faces are found: skip the search for small ones, search if a few
                coarse looks hint at one, or search.
            before: the faces of the video's sampled picture before.
        """
        refused: Sequence[Detection] = ()
        if self._first is not None:
            first = _FaceSet(picture, self._confirmation, self._first.kind, before)
            first.add(self._first.look(picture))
            if first.faces:
                return first.result()
            refused = first.refused
        face_set = _FaceSet(picture, self._confirmation, self._model.kind, before, refused)
        self._search(face_set, picture, small_faces)
        return face_set.result()

    def close(self) -> None:
        self._confirmation.close()
        for model in filter(None, (self._first, self._model)):
            model.close()

    def _search(self, face_set: _FaceSet, picture: np.ndarray, small_faces: SmallFaces) -> None:
        """Add the faces that the model finds."""
        face_set.add(self._model.look(picture))
        if not any(_is_large(face, picture) for face in face_set.sure_faces()):
            face_set.add(self._look_from_further_away(picture))
        if face_set.faces and not any_small(face_set.faces, picture):
            hinted = small_faces == "hint" and self._hints_at_more(picture, face_set)
            if not (hinted or small_faces == "search"):
                return
        for side in _tile_sides(max(picture.shape[:2])):
            for x, y in _tiles(picture, side):
                face_set.add(self._look_at_tile(picture, x, y, side))

    def _look_from_further_away(self, picture: np.ndarray) -> list[Detection]:
        """Return the faces that (nearly) fill the picture; the model overlooks them without a border."""
        bordered, corner, scale = _with_border(picture)
        faces = [
            face.moved(-corner * scale, -corner * scale, scale)
            for face in self._model.look(bordered)
        ]
        longer = max(picture.shape[:2])
        return [face for face in faces if max(face.box[2:]) >= FILLING_RATIO * longer]

    def _hints_at_more(self, picture: np.ndarray, face_set: _FaceSet) -> bool:
        """Return True if large tiles show anything like a face beside those found."""
        largest = LARGEST_TILE_RATIO * max(picture.shape[:2])
        side = next((side for side in HINT_TILES_PX if side < largest), None)
        if side is None:
            return False
        for x, y in _tiles(picture, side, HINT_OVERLAP_RATIO):
            tile = picture[y : y + side, x : x + side]
            if any(face_set.is_new(face.moved(x, y)) for face in self._model.look(tile)):
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


class _FaceSet:
    """Faces that one detector finds in one picture, over several looks.

    Attributes:
        faces: each face once, the surest first.
        refused: detections that nothing confirmed.
    """

    def __init__(
        self,
        picture: np.ndarray,
        confirmation: Confirmation,
        kind: Kind,
        before: Sequence[Detection],
        refused: Sequence[Detection] = (),
    ) -> None:
        self.faces: list[Detection] = []
        self.refused = list(refused)
        self._picture, self._confirmation, self._kind = picture, confirmation, kind
        self._before = before
        self._accepted: list[Detection] = []

    def add(self, detections: list[Detection]) -> None:
        """Take in the faces of a look, the doubtful ones if they are confirmed."""
        for face in sorted(detections, key=lambda face: face.score, reverse=True):
            if self._is_better_known(face):
                continue
            is_face = self._accepts(face)
            (self._accepted if is_face else self.refused).append(face)
        self.faces = _distinct(self._accepted)

    def sure_faces(self) -> list[Detection]:
        """Return the faces that do not score low."""
        return [face for face in self.faces if not self._confirmation.is_low(face)]

    def is_new(self, face: Detection) -> bool:
        """Return True if `face` is none of those found, and is confirmed if it is doubtful."""
        if len(_distinct([*self._accepted, face])) <= len(self.faces):
            return False
        return self._accepts(face)

    def result(self) -> SearchResult:
        """Return the faces and the count of refused ones."""
        faces = sorted(self.faces, key=lambda face: face.box[2] * face.box[3], reverse=True)
        refused = [
            face
            for face in _distinct(self.refused)
            if all(_shared(face.box, rival.box) < SAME_FACE_RATIO for rival in faces)
        ]
        return SearchResult(faces, len(refused))

    def _accepts(self, face: Detection) -> bool:
        return self._confirmation.accepts(self._picture, face, self._kind, self._before)

    def _is_better_known(self, face: Detection) -> bool:
        """Return True for another box of a face found at a higher score, which need not be confirmed."""
        return any(
            face.score <= rival.score and _shared(face.box, rival.box) >= SAME_FACE_RATIO
            for rival in self._accepted
        )


def _is_large(face: Detection, picture: np.ndarray) -> bool:
    longer: int = max(picture.shape[:2])
    return max(face.box[2:]) >= SURE_RATIO * longer


def _with_border(picture: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Return the picture, shrunk if it is large, in a black border.

    Returns:
        The bordered picture, the border's width in its px, and the px of the picture in one of its px.
    """
    import cv2

    height, width = picture.shape[:2]
    longer = max(height, width)
    if longer > FURTHER_PX:
        size = [max(1, round(length * FURTHER_PX / longer)) for length in (width, height)]
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    border = math.ceil(BORDER_RATIO * min(longer, FURTHER_PX))
    bordered = np.pad(picture, ((border, border), (border, border), (0, 0)))
    return bordered, border, longer / min(longer, FURTHER_PX)


def any_small(faces: list[Detection], picture: np.ndarray) -> bool:
    """Return True if one of the faces is too small to be surely found in one look at the whole picture."""
    return not all(_is_large(face, picture) for face in faces)


def _tile_sides(longer: int) -> list[int]:
    """Return the sides of the tiles of a picture, each twice the one before; none for a small picture."""
    sides = []
    side = TILE_PX
    while side < LARGEST_TILE_RATIO * longer:
        sides.append(side)
        side *= 2
    return sides


def _tiles(
    picture: np.ndarray, side: int, overlap_ratio: float = OVERLAP_RATIO
) -> Iterator[tuple[int, int]]:
    """Return the upper left corners of tiles that cover the picture and overlap by the ratio or more."""
    rows, columns = (_starts(length, side, overlap_ratio) for length in picture.shape[:2])
    return ((x, y) for y in rows for x in columns)


def _starts(length: int, side: int, overlap_ratio: float = OVERLAP_RATIO) -> list[int]:
    if length <= side:
        return [0]
    overlap = side * overlap_ratio
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
