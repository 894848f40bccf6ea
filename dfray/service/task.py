"""Tasks that the front gives to replicas, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dfray.faces.supervise import Bounds
from dfray.service.settings import ServiceSettings
from dfray.service.upload import Place, Upload
from dfray.serving.score_table import FileScore, ScoringModel


@dataclass(frozen=True)
class ServedModel:
    """A version of a registered model that replicas load when they first meet it.

    Attributes:
        key: tells it from all others.
        files: reference of its `score_worker.Files` in the object store.
    """

    key: str
    model: ScoringModel
    files: Any = field(repr=False)


@dataclass(frozen=True)
class Task:
    """One file to score.

    Attributes:
        with_page: the answer has the page of the score.
    """

    source: Upload | Place
    model: ServedModel
    with_page: bool = False


@dataclass(frozen=True)
class Progress:
    """What was looked at so far: sampled frames, and the time of the last one in its video, seconds."""

    n_frames: int
    time_s: float | None = None


@dataclass(frozen=True)
class Scored:
    """The end of a task.

    Attributes:
        score: its row.
        face_px: faces counted by their longer side, in the bins of `reference.FACE_PX`.
        page: HTML; None: not asked for.
    """

    score: FileScore
    face_px: tuple[int, ...]
    page: bytes | None = None


def bounds_of(settings: ServiceSettings) -> Bounds:
    """Return the bounds of each file."""
    return Bounds(settings.max_bytes, settings.timeout_s, settings.max_minutes * 60)
