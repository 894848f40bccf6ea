"""Confirmation of doubtful detections: a face that scores low must be seen by the landmark model too.

The detectors take bottle caps, cloth and the backs of heads for faces, at confidences up to 0.76. The
landmark model has an output of its own for the presence of a face, which is nearly always below -4 there.
Yet it is negative too for true profiles and heads bent down. So it looks at three regions about the box, and
at the box of a second look by the detector at the face's own scale, and the highest of its logits is added
to the detector's own evidence:

    max(presence) + SCORE_WEIGHT * logit(score) >= MIN_EVIDENCE

A detection that is only a little doubtful is confirmed by a face near it in the sampled picture before.

Weight and bounds were chosen on clips of a crowd, an audience and talking heads, and on footage without a
face (200 false detections): the highest sum of those was -1.9, but for one of a man's back, and no face with
an eye and the mouth visible is refused at one picture a second.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from dfray.config import FacesSection
from dfray.faces.face_detector import Box, Detection, FaceDetector
from dfray.faces.landmarks import LandmarkFinder
from dfray.faces.model_file import Kind

SCORE_WEIGHT = 3.0
MIN_EVIDENCE = -1.5
HOPELESS = -6.2
"""Sum after the first look at the landmarks below which no other is worth its time: half or more of the false
faces are there, and the lowest sum of a face that another look confirmed was -6.1."""
FURTHER_SCALES = (0.8, 1.25)
LOW_BY = 0.1
"""Distance from the bound down to which a face in the picture before confirms."""
CLOSER_RATIO = 1.5
"""Side of the square of a second look over that of the box."""
CLOSER_MIN_SCORE = 0.2
"""The second look only corrects the box; the landmark model decides on it."""
SAME_SIZE_RATIO = 2.0
NEAR_SIZE_RATIO = 1.5


class Confirmation:
    """Decision on each detection of low score: a face, or refused as doubtful.

    Args:
        landmarks: the landmark model; not used with `doubt_score` 0.
    """

    def __init__(self, settings: FacesSection, landmarks: LandmarkFinder | None) -> None:
        self._settings, self._landmarks = settings, landmarks
        self._closer: dict[Kind, FaceDetector] = {}  # loaded when first needed: doubt is rare

    def accepts(
        self, picture: np.ndarray, face: Detection, kind: Kind, before: Sequence[Detection] = ()
    ) -> bool:
        """Return True if `face`, which the detector `kind` found in `picture`, is surely one or confirmed.

        Args:
            before: the faces of the video's sampled picture before.
        """
        if self._landmarks is None or face.score >= self._settings.doubt_score:
            return True
        if not self.is_low(face) and any(_is_near(face.box, previous.box) for previous in before):
            return True
        evidence = SCORE_WEIGHT * _log_odds(face.score)
        needed = MIN_EVIDENCE - evidence
        first = self._landmarks.presence(picture, face)
        if first >= needed or first < HOPELESS - evidence:
            return first >= needed
        logits = self._further_presences(self._landmarks, picture, face, kind)
        return any(logit >= needed for logit in logits)

    def is_low(self, face: Detection) -> bool:
        """Return True if `face` scores so low that a face in the picture before does not confirm it."""
        return face.score < self._settings.doubt_score - LOW_BY

    def close(self) -> None:
        for detector in self._closer.values():
            detector.close()

    def _further_presences(
        self, landmarks: LandmarkFinder, picture: np.ndarray, face: Detection, kind: Kind
    ) -> Iterator[float]:
        """Yield the landmark model's logits at other scales, and about the box of a second look."""
        for scale in FURTHER_SCALES:
            yield landmarks.presence(picture, face, scale)
        closer = self._look_closer(picture, face, kind)
        if closer is not None:
            yield landmarks.presence(picture, closer)

    def _look_closer(self, picture: np.ndarray, face: Detection, kind: Kind) -> Detection | None:
        """Return the same face as a look at its own scale shows it, if it does."""
        if kind not in self._closer:
            lenient = self._settings.model_copy(update={"min_score": CLOSER_MIN_SCORE})
            self._closer[kind] = FaceDetector(kind, lenient)
        square, left, top = _square_about(picture, face.box)
        detections = [near.moved(left, top) for near in self._closer[kind].look(square)]
        same = [near for near in detections if _is_same(near.box, face.box)]
        return max(same, key=lambda near: near.score, default=None)


def _square_about(picture: np.ndarray, box: Box) -> tuple[np.ndarray, int, int]:
    """Return the square about `box`, black outside the picture, and its upper left corner."""
    x, y, width, height = box
    side = max(1, int(CLOSER_RATIO * max(width, height)))
    left, top = int(x + width / 2 - side / 2), int(y + height / 2 - side / 2)
    square = np.zeros((side, side, 3), np.uint8)
    rows = slice(max(0, top), max(0, top + side))
    columns = slice(max(0, left), max(0, left + side))
    inside = picture[rows, columns]
    down, across = rows.start - top, columns.start - left
    square[down : down + inside.shape[0], across : across + inside.shape[1]] = inside
    return square, left, top


def _is_near(box: Box, previous: Box) -> bool:
    """Return True if a box lies within its own side of another's place and is about as large."""
    middle, previous_middle = (
        np.array((b[0] + b[2] / 2, b[1] + b[3] / 2)) for b in (box, previous)
    )
    is_near = np.abs(middle - previous_middle).max() < box[2]
    return bool(is_near) and 1 / NEAR_SIZE_RATIO < box[2] / previous[2] < NEAR_SIZE_RATIO


def _is_same(box: Box, first: Box) -> bool:
    """Return True if a second look's box lies on the first one's and is about as large."""
    middle, first_middle = (np.array((b[0] + b[2] / 2, b[1] + b[3] / 2)) for b in (box, first))
    is_near = np.abs(middle - first_middle).max() < first[2] / 2
    return bool(is_near) and 1 / SAME_SIZE_RATIO < box[2] / first[2] < SAME_SIZE_RATIO


def _log_odds(score: float) -> float:
    """Return ln(p / (1 - p)) of a confidence, which is cut at 0.001 and 0.999."""
    score = min(max(score, 0.001), 0.999)
    return math.log(score / (1 - score))
