"""Mean of the video-level metrics over columns, with intervals: the figure that decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dfray.config import EvaluationSection
from dfray.evaluation.aggregate import is_scored
from dfray.evaluation.intervals import INTERVALS, Calls, mean_interval
from dfray.evaluation.names import mean_name
from dfray.evaluation.protocol import load_protocol
from dfray.evaluation.scopes import JudgedScores
from dfray.tables import FAKE, REAL

if TYPE_CHECKING:
    from dfray.evaluation.metrics import MeanLevel


def mean_over_columns(
    videos: pa.Table, section: EvaluationSection, *, threshold: float
) -> MeanLevel:
    """Return the mean over the columns of the section's protocol, or over the datasets.

    A column that is a mean over methods has the interval of one figure over all their videos.

    Args:
        videos: VIDEO_SCORES of the evaluated split.
        threshold: the model's own.
    """
    from dfray.evaluation.estimate import Estimate
    from dfray.evaluation.metrics import MeanLevel

    protocol = load_protocol(section.protocol) if section.protocol else None
    judged = JudgedScores.of(videos, threshold, protocol)
    columns, scored = judged.columns.defined, videos.filter(is_scored(videos))
    labels = scored.column("label").to_numpy()
    scores = scored.column("fake_probability").to_numpy()
    named = {
        "columns": [column.name for column in columns],
        "undefined": list(judged.columns.undefined),
    }
    if (scope := judged.columns.mean) is None:
        reason = "no dataset with scored videos of both classes"
        return MeanLevel(name=mean_name(0), n_real=0, n_fake=0, reason=reason, **named)
    called_fake = scores >= threshold
    calls = [Calls.of(labels[c.videos], called_fake[c.videos]) for c in columns]
    estimates = {}
    for name, value in judged.mean.items():
        of_columns = [figures[name] for figures in judged.figures]
        intervals = [
            INTERVALS[name](figure, of_column, section.confidence)
            for figure, of_column in zip(of_columns, calls, strict=True)
        ]
        parts = [(1 / len(columns), *part) for part in zip(of_columns, intervals, strict=True)]
        estimates[name] = Estimate.of(value, mean_interval(value, parts))
    facts = {
        "name": scope.name,
        "n_real": int(np.sum(labels[scope.videos] == REAL)),
        "n_fake": int(np.sum(labels[scope.videos] == FAKE)),
        "fakes_share": sum(w * float(np.mean(labels[mask] == FAKE)) for w, mask in scope.parts),
    }
    return MeanLevel.model_validate(named | facts | estimates)
