"""Error rates by subgroup: of people or recordings of one attribute's value, such as an age or a language.

A detector that is right on average may call one group's real videos fake. Rates are at the model's threshold,
over the group's videos of all datasets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from dfray.evaluation.aggregate import is_scored
from dfray.evaluation.estimate import Estimate
from dfray.evaluation.intervals import proportion_interval
from dfray.tables import FAKE, REAL

Attributes = Mapping[str, Mapping[str, str]]
"""Attribute -> video_id -> value."""


class Subgroup(BaseModel):
    """Error rates of the videos of one value of one attribute.

    Attributes:
        n_real, n_fake: scored videos.
        n_unscored: videos without a score.
        false_alarms: share of the real videos that are called fake; None with too few of them.
        misses: share of the fakes that are called real; None with too few of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    attribute: str
    value: str
    n_real: int
    n_fake: int
    n_unscored: int
    false_alarms: Estimate | None
    misses: Estimate | None

    @property
    def error_rate(self) -> float | None:
        """Mean of both rates, which is one less the balanced accuracy; None unless both are known."""
        if self.false_alarms is None or self.misses is None:
            return None
        return (self.false_alarms.value + self.misses.value) / 2


def subgroups(
    videos: pa.Table, attributes: Attributes, *, threshold: float, needed: int, confidence: float
) -> list[Subgroup]:
    """Return the error rates of every value of every attribute, in the order of their names.

    Args:
        videos: with the columns of VIDEO_SCORES.
        threshold: the model's own.
        needed: number of videos of a class that a rate is given for.
    """
    ids = videos["video_id"].to_pylist()
    labels = videos["label"].to_numpy()
    scored = is_scored(videos)
    called_fake = np.nan_to_num(videos["fake_probability"].to_numpy(), nan=-1.0) >= threshold
    groups = []
    for attribute, value_of in sorted(attributes.items()):
        values = np.asarray([value_of.get(video, "") for video in ids], str)
        for value in np.unique(values[values != ""]).tolist():
            mask = values == value
            rates = [
                _rate(wrong[mask & scored & (labels == label)], needed, confidence)
                for label, wrong in ((REAL, called_fake), (FAKE, ~called_fake))
            ]
            groups.append(
                Subgroup(
                    attribute=attribute,
                    value=value,
                    n_real=int(np.sum(mask & scored & (labels == REAL))),
                    n_fake=int(np.sum(mask & scored & (labels == FAKE))),
                    n_unscored=int(np.sum(mask & ~scored)),
                    false_alarms=rates[0],
                    misses=rates[1],
                )
            )
    return groups


def worst_subgroup(groups: Sequence[Subgroup]) -> Subgroup | None:
    """Return the group of the highest error rate; None if no group has enough videos."""
    known = [group for group in groups if group.error_rate is not None]
    return max(known, key=lambda group: group.error_rate or 0.0, default=None)


def _rate(wrong: np.ndarray, needed: int, confidence: float) -> Estimate | None:
    if len(wrong) < needed:
        return None
    value = float(wrong.mean())
    return Estimate.of(value, proportion_interval(value, len(wrong), confidence))
