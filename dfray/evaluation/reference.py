"""Validation's scores and faces in a few numbers, kept in a model's bundle: what a score means.

    <bundle>/validation.json   counts of validation's videos by score, and ranges of its faces

It is made with the decision rule, of the scores that the rule was fitted on. A bundle whose rule was not
fitted, or of an earlier dfray, has none; one of another rule counts as none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from dfray import storage
from dfray.documents import read_json, validated
from dfray.errors import ModelFileError
from dfray.evaluation.aggregate import is_scored
from dfray.evaluation.intervals import Interval, proportion_interval
from dfray.models.bundle_description import HINT, DecisionRule
from dfray.tables import FAKE, REAL, refuse_test

FILE = "validation.json"
BINS = 100
"""Equal parts of 0..1 in which videos are counted."""
ENOUGH = 20
"""Videos of about one score of which a share is told, if there are as many within WIDEST."""
WIDEST = 0.1
"""Most that a video's score may differ to count as about the same."""
QUANTILES = (0.01, 0.99)
"""Ends of the range of validation's faces."""
CONFIDENCE = 0.95
FACE_PX = (32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Edges, px, between the bins in which faces are counted by the longer side of their box."""


@dataclass(frozen=True)
class Share:
    """A share of videos: how many of how many, with its interval."""

    count: int
    of: int

    @property
    def value(self) -> float:
        return self.count / self.of

    @property
    def interval(self) -> Interval:
        return proportion_interval(self.value, self.of, CONFIDENCE)


@dataclass(frozen=True)
class Meaning:
    """The share of fakes among validation's videos with a score of `low` to `high`; None: there was none."""

    low: float
    high: float
    fakes: Share | None


class Reference(BaseModel):
    """Validation in numbers.

    Attributes:
        rule: the decision rule that it belongs to, as `DecisionRule.stored`.
        real, fake: videos in each of BINS parts of the scale of scores.
        real_called_fake, fake_called_fake: videos at or above the threshold.
        ranges: property of a face or video -> QUANTILES of it over validation's.
        face_px: faces in each bin of FACE_PX; None: of an earlier dfray.
        no_face: videos in which no face was found; None: of an earlier dfray.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    rule: dict[str, object]
    real: list[int]
    fake: list[int]
    real_called_fake: int
    fake_called_fake: int
    ranges: dict[str, tuple[float, float]]
    face_px: list[int] | None = None
    no_face: int | None = None

    @property
    def fakes_share(self) -> float:
        """Share of fakes among validation's videos."""
        return sum(self.fake) / max(1, sum(self.real) + sum(self.fake))

    @property
    def false_alarms(self) -> Share:
        return Share(self.real_called_fake, sum(self.real))

    @property
    def found(self) -> Share:
        return Share(self.fake_called_fake, sum(self.fake))

    def meaning(self, score: float) -> Meaning:
        """Return what validation tells of a score: of the ENOUGH nearest videos, or those within WIDEST."""
        middle = min(int(score * BINS), BINS - 1)
        for reach in range(round(WIDEST * BINS) + 1):
            first, last = max(0, middle - reach), min(BINS, middle + reach + 1)
            n_real, n_fake = sum(self.real[first:last]), sum(self.fake[first:last])
            if n_real + n_fake >= ENOUGH:
                break
        share = Share(n_fake, n_real + n_fake) if n_real + n_fake else None
        return Meaning(first / BINS, last / BINS, share)


def make_reference(
    rule: DecisionRule, videos: pa.Table, scores: pa.Table, boxes: pa.Table, properties: pa.Table
) -> Reference:
    """Return the reference of a fitted rule.

    Args:
        videos: VIDEO_SCORES of validation.
        scores: SCORES of the same.
        boxes: from `read_boxes`, of the same faces.
        properties: of `video_properties`, of the same videos.

    Raises:
        UserError: a row is of the test split.
    """
    refuse_test(videos, "The meaning of a score")
    scored = videos.filter(is_scored(videos))
    values, labels = scored["fake_probability"].to_numpy(), scored["label"].to_numpy()
    real, fake = (values[labels == label] for label in (REAL, FAKE))
    ranges = {name: _range(scores[name]) for name in ("sharpness", "brightness")}
    ranges["quality"] = _range(properties["quality"])
    sides = boxes["box"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    face_px = sides[:, 2:].max(axis=1)
    ranges["face_px"] = _range(pa.chunked_array([face_px]))
    return Reference(
        rule=rule.stored(),
        real=np.histogram(np.clip(real, 0, 1), BINS, (0, 1))[0].tolist(),
        fake=np.histogram(np.clip(fake, 0, 1), BINS, (0, 1))[0].tolist(),
        real_called_fake=int(np.sum(real >= rule.threshold)),
        fake_called_fake=int(np.sum(fake >= rule.threshold)),
        ranges={name: ends for name, ends in ranges.items() if ends is not None},
        face_px=list(count_face_px(face_px)),
        no_face=int(pc.sum(pc.equal(videos["status"], "no_face")).as_py() or 0),
    )


def count_face_px(face_px: Sequence[float] | np.ndarray) -> tuple[int, ...]:
    """Return the number of faces in each bin of FACE_PX, one more than it has edges."""
    bins = np.searchsorted(FACE_PX, face_px, side="right")
    return tuple(np.bincount(bins, minlength=len(FACE_PX) + 1).tolist())


def write_reference(bundle_uri: str, reference: Reference) -> None:
    """Write the reference into the bundle in the folder `bundle_uri`."""
    text = reference.model_dump_json(indent=2) + "\n"
    storage.write_bytes(text.encode(), storage.join(bundle_uri, FILE))


def read_reference(bundle_uri: str, rule: DecisionRule) -> Reference | None:
    """Return the reference in a bundle; None: it has none, or one of another rule than `rule`.

    Raises:
        ModelFileError: the file is damaged.
    """
    uri = storage.join(bundle_uri, FILE)
    if not storage.exists(uri):
        return None
    values = read_json(uri, ModelFileError, HINT)
    if isinstance(values, dict) and isinstance(values.get("ranges"), dict):
        values["ranges"] = {k: tuple(v) for k, v in values["ranges"].items()}
    reference = validated(Reference, values, uri, ModelFileError, HINT)
    return reference if reference.rule == rule.stored() else None


def _range(column: pa.ChunkedArray) -> tuple[float, float] | None:
    known = pc.drop_null(column).to_numpy().astype(np.float64)
    if not len(known):
        return None
    low, high = np.quantile(known, QUANTILES)
    return float(low), float(high)
