"""Table of scored files: one row for each input, the same in a file, in JSON lines and from Python."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self

import pyarrow as pa

from dfray.faces.properties import StreamProperties
from dfray.faces.version import UNSTATED, version_note
from dfray.models.bundle_description import decision_rule_of
from dfray.serving.media_score import MediaScore
from dfray.tables import SUMMARIES, Column, TableSpec

_OF_STREAM = {field.name for field in fields(StreamProperties)}

FILE_SCORES = TableSpec(
    "file scores",
    (
        Column("input", pa.string(), "the file or folder that was scored: a full path or s3://"),
        Column("model", pa.string(), "name of the registered model"),
        Column("version", pa.string(), "its version"),
        Column("checksum", pa.string(), "SHA-256 of its weights"),
        Column("threshold", pa.float64(), "fake at or above this probability"),
        Column("threshold_origin", pa.string(), "where the threshold comes from"),
        Column(
            "fake_probability",
            pa.float64(),
            "calibrated, by the model's video rule, 0..1; empty without a face",
            nullable=True,
        ),
        Column("verdict", pa.string(), "real or fake; empty without a face", True),
        Column("outcome", pa.string(), "ok, no_face, unreadable, crashed or timed_out"),
        Column("reason", pa.string(), "why it is not ok, or what is amiss with some frames", True),
        Column("n_faces", pa.int32(), "faces that were scored"),
        Column("n_persons", pa.int32(), "people that these faces are of"),
        Column("n_frames", pa.int32(), "frames sampled"),
        *(column for column in SUMMARIES.columns if column.name in _OF_STREAM),
        Column(
            "duration_s",
            pa.float64(),
            "length in seconds; empty if not known, or of pictures",
            True,
        ),
        Column("work_s", pa.float64(), "seconds of decoding, finding and scoring, wall time"),
        Column("scored_at", pa.string(), "end of its scoring: ISO 8601, UTC"),
        Column(
            "faces_note",
            pa.string(),
            "difference between the faces that the model learned from and those scored",
            nullable=True,
        ),
    ),
)


@dataclass(frozen=True)
class ScoringModel:
    """The model behind scores, as every row states it.

    Attributes:
        name, version: of the registered model.
        checksum, threshold, threshold_origin, faces_note: as in FILE_SCORES.
    """

    name: str
    version: str
    checksum: str
    threshold: float
    threshold_origin: str
    faces_note: str | None = None

    @classmethod
    def of(cls, name: str, version: str, description: dict[str, Any]) -> Self:
        """Return the model of a version whose bundle has this description."""
        rule = decision_rule_of(description)
        note = version_note(description.get("faces_version", UNSTATED))
        checksum = description["weights_sha256"]
        return cls(name, version, checksum, rule.threshold, rule.threshold_origin, note)

    def __str__(self) -> str:
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True)
class FileScore:
    """A row of FILE_SCORES; the fields are its columns."""

    input: str
    model: str
    version: str
    checksum: str
    threshold: float
    threshold_origin: str
    fake_probability: float | None
    verdict: str | None
    outcome: str
    reason: str | None
    n_faces: int
    n_persons: int
    n_frames: int
    codec: str | None
    width: int | None
    height: int | None
    fps: float | None
    bit_rate: int | None
    pixel_aspect: float | None
    transfer: str | None
    interlacing: str | None
    rotation_deg: int | None
    duration_s: float | None
    work_s: float
    scored_at: str
    faces_note: str | None = None

    @classmethod
    def of(cls, name: str, score: MediaScore, model: ScoringModel) -> Self:
        """Return the row of the score of an input, dated now."""
        found = score.findings
        stream = asdict(found.stream) | {"duration_s": found.video_s}
        return cls(
            input=name,
            model=model.name,
            version=model.version,
            checksum=model.checksum,
            threshold=model.threshold,
            threshold_origin=model.threshold_origin,
            fake_probability=score.fake_probability,
            verdict=score.verdict,
            outcome=found.outcome,
            reason=found.reason,
            n_faces=score.n_faces,
            n_persons=score.n_persons,
            n_frames=found.n_frames,
            work_s=score.work_s,
            scored_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            faces_note=model.faces_note,
            **stream,
        )

    @property
    def file(self) -> str:
        """The input, by the name that it had before `input`."""
        return self.input

    @property
    def label(self) -> str | None:
        """The verdict, by the name that it had before `verdict`."""
        return self.verdict

    @property
    def faces_per_s(self) -> float | None:
        """Faces over seconds of work; None without a face."""
        return self.n_faces / self.work_s if self.n_faces else None

    @property
    def work_per_video_s(self) -> float | None:
        """Seconds of work for a second of video; below 1 is faster than real time; None of a picture."""
        return self.work_s / self.duration_s if self.duration_s else None

    def row(self) -> dict[str, Any]:
        """Return column -> value."""
        return asdict(self)
