"""Figures of a reproduced row beside the published ones, and the differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from dfray.config import UNFITTED_THRESHOLD
from dfray.evaluation.protocol import ColumnMetrics, Protocol, PublishedRow, apply_protocol
from dfray.evaluation.protocol_intervals import (
    PUBLISHED_METRICS,
    MetricIntervals,
    protocol_intervals,
)


@dataclass(frozen=True)
class Cell:
    """One column of one row, percent; None: not measured, or not published.

    Attributes:
        low, high: interval of the measured value.
        note: what the measured figure lacks, or why there is none.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    published: float | None = None
    note: str | None = None

    @property
    def difference(self) -> tuple[float, float, float] | None:
        """Measured minus published value, and its bounds by the measured value's interval.

        The published value has no interval, so it is taken as exact.
        """
        if None in (self.value, self.low, self.high, self.published):
            return None
        value, low, high = (
            float(x) - float(self.published)  # type: ignore[arg-type]
            for x in (self.value, self.low, self.high)
        )
        return value, low, high


Cells = dict[str, list[Cell]]
"""Metric of PUBLISHED_METRICS -> cell of each of the protocol's headings."""


def compare_figures(
    protocol: Protocol, published: PublishedRow | None, videos: pa.Table | None, confidence: float
) -> Cells:
    """Return the cells of a row.

    Args:
        videos: VIDEO_SCORES of the row's model; None: it is not measured.
    """
    figures: Sequence[ColumnMetrics] = [ColumnMetrics(None, None)] * len(protocol.headings)
    intervals: Sequence[MetricIntervals] = [{}] * len(figures)
    if videos is not None:
        figures = apply_protocol(protocol, videos, UNFITTED_THRESHOLD)
        intervals = protocol_intervals(protocol, videos, figures, confidence)
    cells: Cells = {}
    for metric in PUBLISHED_METRICS:
        stated: Sequence[float | None] = getattr(published, metric, None) or [None] * len(figures)
        cells[metric] = [
            _cell(metric, *parts) for parts in zip(figures, intervals, stated, strict=True)
        ]
    return cells


def _cell(
    metric: str, figure: ColumnMetrics, intervals: MetricIntervals, published: float | None
) -> Cell:
    value: float | None = getattr(figure, metric)
    if value is None:
        return Cell(published=published, note=figure.note)
    low, high = intervals[metric]
    return Cell(100 * value, 100 * low, 100 * high, published, figure.note)
