"""Intervals of a protocol's figures, by which a difference from a published figure is judged.

A figure over a dataset has the interval of `dfray.evaluation.intervals`. A mean over methods, which share
their real videos, has that of one figure over all its videos; an average over columns, whose videos are
distinct, has that of a mean of independent figures. Videos are what varies: what another training seed
would give is not in them.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from dfray.config import UNFITTED_THRESHOLD
from dfray.evaluation.aggregate import is_scored
from dfray.evaluation.intervals import INTERVALS, Calls, Interval, mean_interval
from dfray.evaluation.protocol import ColumnMetrics, Protocol
from dfray.evaluation.scopes import protocol_scopes

PUBLISHED_METRICS = ("auc", "balanced_accuracy")
"""Fields of ColumnMetrics that papers publish; the accuracy is at UNFITTED_THRESHOLD."""
MetricIntervals = dict[str, Interval]
"""Metric -> interval, shares; empty: the figure is not defined."""


def protocol_intervals(
    protocol: Protocol, videos: pa.Table, figures: Sequence[ColumnMetrics], confidence: float
) -> list[MetricIntervals]:
    """Return the intervals of `apply_protocol`'s figures, in their order.

    Args:
        videos: VIDEO_SCORES that the figures are of.
    """
    scored = videos.filter(is_scored(videos))
    label, score = (scored.column(name).to_numpy() for name in ("label", "fake_probability"))
    scopes, called_fake = protocol_scopes(scored, protocol), score >= UNFITTED_THRESHOLD
    remaining, intervals = iter(figures), list[MetricIntervals]()
    for scenario in protocol.scenarios:
        columns, of_columns = list[ColumnMetrics](), list[MetricIntervals]()
        for column in scenario.columns:
            columns.append(next(remaining))
            of_columns.append({})
            if columns[-1].auc is not None:
                members = scopes[scenario.name, column.name].videos
                calls = Calls.of(label[members], called_fake[members])
                of_columns[-1] = _of_column(columns[-1], calls, confidence)
        intervals += of_columns
        if scenario.average:
            intervals.append(_of_average(next(remaining), columns, of_columns))
    return intervals


def _of_column(figure: ColumnMetrics, calls: Calls, confidence: float) -> MetricIntervals:
    return {
        name: INTERVALS[name](getattr(figure, name), calls, confidence)
        for name in PUBLISHED_METRICS
    }


def _of_average(
    average: ColumnMetrics, columns: Sequence[ColumnMetrics], intervals: Sequence[MetricIntervals]
) -> MetricIntervals:
    if average.auc is None:
        return {}
    defined = [pair for pair in zip(columns, intervals, strict=True) if pair[1]]
    return {
        name: mean_interval(
            getattr(average, name),
            [(1 / len(defined), getattr(figure, name), of[name]) for figure, of in defined],
        )
        for name in PUBLISHED_METRICS
    }
