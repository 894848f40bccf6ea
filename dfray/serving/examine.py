"""Examination of files by a registered model: as they are scored, with every face kept.

A file gives the same faces and the same score as `MediaScorer` gives it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

import numpy as np

from dfray.faces.quality import brightness, sharpness
from dfray.faces.supervise import SupervisedExtractor
from dfray.faces.video import Face, Frame, VideoEnd
from dfray.models.bundle import Bundle
from dfray.serving.examination import Examination, ScoredFace
from dfray.serving.inputs import MediaInput
from dfray.serving.kept_faces import KeptFace, KeptFaces
from dfray.serving.media_reader import BATCH_FACES, source_of
from dfray.serving.media_score import FacePosition, Findings, judged, persons_in
from dfray.serving.score_table import FileScore
from dfray.serving.scorer import MediaScorer

THUMBNAIL_PX = 640
"""Longer side of the frames that are kept."""


def examine(
    inputs: Iterable[MediaInput], scorer: MediaScorer, *, keep_pictures: bool = False
) -> Iterator[Examination]:
    """Yield the examination of each picture or video, in order; one that cannot be read has a reason.

    Args:
        scorer: the model, its settings and what it may open.
        keep_pictures: of some faces of each input, and of their frames.
    """
    extractor = SupervisedExtractor(
        scorer.settings,
        bounds=scorer.admission.bounds,
        thumbnail_px=THUMBNAIL_PX if keep_pictures else None,
    )
    with closing(extractor):
        for media in inputs:
            started = time.perf_counter()
            faces = _Faces(scorer.bundle)
            source = source_of(media)
            for item in scorer.extract(extractor, source, media.kind, media.stride):
                if isinstance(item, Frame):
                    faces.add(item)
                else:
                    end = item
            yield _examination(media.uri, scorer, faces, end, started)


def _examination(
    file: str, scorer: MediaScorer, faces: _Faces, end: VideoEnd, started: float
) -> Examination:
    scored = faces.scored(scorer.settings.rate_fps)
    findings = Findings(end.status, end.reason, faces.outcomes.total(), [], end.stream)
    score = judged(
        findings,
        np.array([face.fake_probability for face in scored], np.float32),
        np.array([face.person for face in scored], np.int32),
        scorer.bundle.decision_rule,
        time.perf_counter() - started,
    )
    return Examination(
        FileScore.of(file, score, scorer.model),
        scored,
        faces.kept.pictures(),
        faces.outcomes,
        faces.reasons,
        faces.n_doubtful,
        end.stream,
    )


class _Faces:
    """Faces of one input while its frames come: scored a batch at a time, crops forgotten thereafter."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._waiting: list[KeptFace] = []
        self._measured: list[dict[str, Any]] = []
        self._positions: list[FacePosition] = []
        self._batches: list[tuple[np.ndarray, np.ndarray]] = []
        self.kept = KeptFaces()
        self.outcomes: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.n_doubtful = 0

    def add(self, frame: Frame) -> None:
        self.outcomes[frame.outcome] += 1
        self.n_doubtful += frame.n_doubtful > 0
        if frame.reason:
            self.reasons[frame.reason] += 1
        for face in frame.faces:
            self._measured.append(_measured(face, frame))
            position = FacePosition(frame.frame_index, frame.time_s or 0.0, face.box)
            self._positions.append(position)
            self._waiting.append(KeptFace(face.image, face.crop, frame.thumbnail))
            if len(self._waiting) == BATCH_FACES:
                self._score()

    def scored(self, rate_fps: float | None) -> list[ScoredFace]:
        """Return all faces, with score and person."""
        self._score()
        if not self._batches:
            return []
        probabilities, embeddings = map(np.concatenate, zip(*self._batches, strict=True))
        persons = persons_in(self._positions, embeddings, rate_fps)
        rows = zip(self._measured, probabilities.tolist(), persons.tolist(), strict=True)
        return [ScoredFace(**row, fake_probability=p, person=person) for row, p, person in rows]

    def _score(self) -> None:
        if not self._waiting:
            return
        batch = self._bundle.predict(np.stack([face.crop for face in self._waiting]))
        first = len(self._measured) - len(self._waiting)
        for offset, (face, probability) in enumerate(
            zip(self._waiting, batch[0].tolist(), strict=True)
        ):
            if face.thumbnail is not None:
                self.kept.add(first + offset, probability, face)
        self._batches.append(batch)
        self._waiting = []


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
