"""Examination of one input: its score and all that is behind it, face by face."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from dfray.faces.properties import StreamProperties
from dfray.serving.kept_faces import KeptFace
from dfray.serving.score_table import FileScore

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class ScoredFace:
    """One face.

    Attributes:
        frame_index, face_index: of the sampled frame, and rank of the face in it.
        time_s: of the picture, from the video's start; None: it has no clock.
        person: who it is, 0, 1, ... in the order of appearance.
        box: x, y, w, h, px of the upright frame.
        frame_width, frame_height: of that frame, px.
        fake_probability: of the face alone, 0..1.
        sharpness, brightness: as in `dfray.faces.quality`.
        detector_score: 0..1.
    """

    frame_index: int
    face_index: int
    time_s: float | None
    person: int
    box: Box
    frame_width: int
    frame_height: int
    fake_probability: float
    sharpness: float
    brightness: float
    detector_score: float

    @property
    def face_px(self) -> float:
        """Longer side of the box, px."""
        return max(self.box[2:])

    def row(self) -> dict[str, Any]:
        """Return its row of FACE_SCORES, but for the input."""
        box = dict(zip(("box_x", "box_y", "box_w", "box_h"), self.box, strict=True))
        return asdict(self) | box | {"face_px": self.face_px}


@dataclass(frozen=True)
class Examination:
    """An input, its score and what is behind it.

    Attributes:
        faces: in the order of frames.
        kept: index in `faces` -> its pictures; of some faces only, empty if pictures are not wanted.
        outcomes: of the sampled frames: faces, no_face and decode_error.
        reasons: why frames could not be decoded, or what is amiss with their times, with counts.
        n_doubtful: frames in which a doubtful detection was refused.
        stream: what the file states about its pictures.
    """

    score: FileScore
    faces: list[ScoredFace] = field(default_factory=list)
    kept: dict[int, KeptFace] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    n_doubtful: int = 0
    stream: StreamProperties = field(default_factory=StreamProperties)
