"""Score of one picture or video: what was found in it, whom it shows, and the verdict.

Reading, the network and the verdict are apart, so that they may run in one process or in several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import numpy as np

from dfray.evaluation.aggregate import highest_person
from dfray.evaluation.tracks import frame_seconds, track_faces
from dfray.faces.properties import StreamProperties
from dfray.faces.video import Frame, VideoEnd
from dfray.models.bundle_description import DecisionRule


@dataclass(frozen=True)
class FacePosition:
    """The index and the time of a face's frame in its video, and its box: x, y, w, h in px."""

    frame_index: int
    time_s: float
    box: tuple[float, float, float, float]


@dataclass
class Findings:
    """What was found in one input, filled while it is read.

    Attributes:
        outcome: ok, no_face, unreadable, crashed or timed_out.
        reason: why it is not ok, or what is amiss with some of its frames.
        n_frames: sampled frames.
        positions: of the faces, in the order of their crops.
        stream: what the file states about its pictures.
    """

    outcome: str = "unreadable"
    reason: str | None = None
    n_frames: int = 0
    positions: list[FacePosition] = field(default_factory=list)
    stream: StreamProperties = field(default_factory=StreamProperties)

    thumbnail_px: ClassVar[int | None] = None
    """Longer side of the frames' thumbnails that are wanted; None: none are."""

    def take(self, result: Frame | VideoEnd) -> list[np.ndarray]:
        """Take a frame or the end; return the crops of the frame, uint8 (size_px, size_px, 3) RGB each."""
        if isinstance(result, VideoEnd):
            self.outcome, self.reason, self.stream = result.status, result.reason, result.stream
            return []
        self.n_frames += 1
        time_s = result.time_s or 0.0
        self.positions += [FacePosition(result.frame_index, time_s, f.box) for f in result.faces]
        return [face.image for face in result.faces]

    def give(self, probabilities: np.ndarray) -> None:
        """Take the scores, float (N,), of the next N crops."""

    @property
    def video_s(self) -> float | None:
        """Length of the video, seconds; None if nothing could be decoded: its header is not to be trusted."""
        return self.stream.duration_s if self.outcome in ("ok", "no_face") else None


@dataclass(frozen=True)
class MediaScore:
    """The score of one picture or video.

    Attributes:
        findings: what was found in it.
        fake_probability: by the model's video rule, 0..1; None without a face.
        verdict: real or fake, by the model's threshold; None without a face.
        n_faces, n_persons: faces that were scored, and people that these are of.
        work_s: wall time of decoding, finding and scoring, seconds.
        probabilities, persons: float (N,) and int (N,), score and person of each face.
    """

    findings: Findings
    fake_probability: float | None = None
    verdict: str | None = None
    n_faces: int = 0
    n_persons: int = 0
    work_s: float = 0.0
    probabilities: np.ndarray = field(
        default_factory=partial(np.zeros, 0), repr=False, compare=False
    )
    persons: np.ndarray = field(
        default_factory=partial(np.zeros, 0, np.int32), repr=False, compare=False
    )


def judged(
    findings: Findings,
    probabilities: np.ndarray,
    persons: np.ndarray,
    rule: DecisionRule,
    work_s: float,
) -> MediaScore:
    """Return the score of one input by the model's decision rule.

    Args:
        probabilities: float (N,), fake probability of each of its faces, calibrated.
        persons: int (N,), who is seen in each, as `persons_in` gives them.
        work_s: that it took.
    """
    n_faces = len(probabilities)
    if not n_faces:
        return MediaScore(findings, work_s=work_s)
    is_mean = rule.video_rule == "mean"
    score = float(probabilities.mean()) if is_mean else highest_person(probabilities, persons)
    verdict = "fake" if score >= rule.threshold else "real"
    n_persons = len(np.unique(persons))
    return MediaScore(findings, score, verdict, n_faces, n_persons, work_s, probabilities, persons)


def persons_in(
    positions: Sequence[FacePosition], embeddings: np.ndarray, rate_fps: float | None
) -> np.ndarray:
    """Return the person in each face of one input, int32 (N,), as `tracks.track_faces` tells them apart.

    Args:
        embeddings: float (N, D), of the faces.
        rate_fps: at which frames were sampled; None: not at a rate.
    """
    frames = np.array([position.frame_index for position in positions])
    boxes = np.array([position.box for position in positions])
    times_s = np.array([position.time_s for position in positions])
    return track_faces(frames, boxes, embeddings, frame_seconds(frames, times_s, rate_fps))
