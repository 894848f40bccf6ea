"""Examination of an input by a registered model: its score, and on request its faces and pictures of some.

All are of the one reading that scores the input.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from dfray.faces.quality import brightness, sharpness
from dfray.faces.video import Face, Frame, VideoEnd
from dfray.serving.examination import Examination, ScoredFace
from dfray.serving.inputs import MediaInput
from dfray.serving.kept_faces import KeptFace, KeptFaces
from dfray.serving.media_reader import MediaReader
from dfray.serving.media_score import Findings, MediaScore
from dfray.serving.score_table import FileScore, ScoringModel

THUMBNAIL_PX = 640
"""Longer side of the frames that are kept."""
Depth = Literal["score", "faces", "pictures"]
"""What is wanted: the score alone, with its faces, or also with pictures of some faces."""


def examine(
    media: MediaInput, reader: MediaReader, model: ScoringModel, depth: Depth = "faces"
) -> Examination:
    """Return the examination of a picture or video; one that cannot be read has a reason."""
    findings = _FINDINGS[depth]()
    score = reader.score_media(media, findings)
    found = FileScore.of(media.uri, score, model)
    if not isinstance(findings, _FaceFindings):
        return Examination(found)
    kept = findings.kept.pictures() if isinstance(findings, _PicturedFindings) else {}
    return Examination(
        found,
        findings.scored(score),
        kept,
        findings.outcomes,
        findings.reasons,
        findings.n_doubtful,
        findings.stream,
    )


@dataclass
class _FaceFindings(Findings):
    """Findings with what is measured of each face.

    Attributes:
        outcomes, reasons, n_doubtful: as in `Examination`.
        measured: fields of a ScoredFace that are known before it is scored.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    n_doubtful: int = 0
    measured: list[dict[str, Any]] = field(default_factory=list)

    def take(self, result: Frame | VideoEnd) -> list[np.ndarray]:
        if isinstance(result, Frame):
            self.outcomes[result.outcome] += 1
            self.n_doubtful += result.n_doubtful > 0
            if result.reason:
                self.reasons[result.reason] += 1
            self.measured += [_measured(face, result) for face in result.faces]
        return super().take(result)

    def scored(self, score: MediaScore) -> list[ScoredFace]:
        """Return all faces, with score and person."""
        rows = zip(self.measured, score.probabilities.tolist(), score.persons.tolist(), strict=True)
        return [ScoredFace(**row, fake_probability=p, person=person) for row, p, person in rows]


@dataclass
class _PicturedFindings(_FaceFindings):
    """Findings that keep pictures of some faces; the others' are forgotten once they are scored."""

    thumbnail_px = THUMBNAIL_PX
    kept: KeptFaces = field(default_factory=KeptFaces)
    n_given: int = 0
    _waiting: deque[KeptFace] = field(default_factory=deque)

    def take(self, result: Frame | VideoEnd) -> list[np.ndarray]:
        if isinstance(result, Frame):
            self._waiting += [KeptFace(f.image, f.crop, result.thumbnail) for f in result.faces]
        return super().take(result)

    def give(self, probabilities: np.ndarray) -> None:
        for probability in probabilities.tolist():
            self.kept.add(self.n_given, probability, self._waiting.popleft())
            self.n_given += 1


_FINDINGS: dict[Depth, type[Findings]] = {
    "score": Findings,
    "faces": _FaceFindings,
    "pictures": _PicturedFindings,
}


def _measured(face: Face, frame: Frame) -> dict[str, Any]:
    """Return the fields of a ScoredFace that are known before it is scored."""
    return {
        "frame_index": frame.frame_index,
        "face_index": face.face_index,
        "time_s": frame.time_s,
        "box": face.box,
        "frame_width": frame.width,
        "frame_height": frame.height,
        "sharpness": sharpness(face.image),
        "brightness": brightness(face.image),
        "detector_score": face.score,
    }
