"""Intervals of a protocol's figures: those of single figures, of means over methods, and of averages."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dfray.evaluation.aggregate import VIDEO_SCORES
from dfray.evaluation.intervals import Calls, auc_interval, mean_interval
from dfray.evaluation.protocol import ColumnMetrics, Protocol, apply_protocol, load_protocol
from dfray.evaluation.protocol_intervals import MetricIntervals, protocol_intervals
from tests.evaluation.test_protocol import corpus, df40

PAPER = load_protocol("paper")
Measured = dict[tuple[str, str], tuple[ColumnMetrics, MetricIntervals]]


def table(scale: int = 1) -> pa.Table:
    rows = corpus("ff++", {"Deepfakes": "FS", "NeuralTextures": "RE"}, 9 * scale)
    rows += corpus("itw", {"a": "fake"}, 5 * scale) + df40(8 * scale)
    rows += corpus("wilddeepfake", {"a": "fake"}, 7 * scale)
    rows += corpus("deepfake-eval-2024", {"a": "fake"}, 6 * scale)
    return VIDEO_SCORES.from_rows(rows)


def measured(videos: pa.Table, protocol: Protocol = PAPER) -> Measured:
    figures = apply_protocol(protocol, videos, 0.5)
    intervals = protocol_intervals(protocol, videos, figures, 0.95)
    pairs = zip(figures, intervals, strict=True)
    return dict(zip(protocol.headings, pairs, strict=True))


def test_every_defined_figure_lies_in_its_interval_and_no_other_has_one() -> None:
    for figure, intervals in measured(table()).values():
        if figure.auc is None:
            assert intervals == {}
            continue
        for metric, (low, high) in intervals.items():
            assert 0 <= low <= getattr(figure, metric) <= high <= 1
            assert high > low


def test_a_columns_interval_is_that_of_its_videos() -> None:
    figure, intervals = measured(table())["In-the-wild", "ITW"]
    calls = Calls(figure.n_real, figure.n_fake, 0.5, 0.5)
    assert figure.auc is not None
    assert intervals["auc"] == auc_interval(figure.auc, calls, 0.95)


def test_a_mean_over_methods_of_a_category_has_the_interval_of_their_videos_alone() -> None:
    found = measured(table(6))
    of_some, of_all = (found["Out-of-distribution", name] for name in ("FS avg", "Avg"))
    assert np.ptp(of_some[1]["auc"]) > np.ptp(of_all[1]["auc"])


def test_an_average_has_the_interval_of_a_mean_of_independent_columns() -> None:
    found = measured(table())
    average, intervals = found["In-the-wild", "Avg"]
    columns = [found["In-the-wild", name] for name in ("WDF", "ITW", "DF-Eval")]
    parts = [(1 / 3, figure.auc, of["auc"]) for figure, of in columns]
    assert average.auc is not None
    assert intervals["auc"] == pytest.approx(mean_interval(average.auc, parts))  # type: ignore[arg-type]


def test_an_average_without_a_column_is_over_the_others() -> None:
    average, intervals = measured(table())["In-distribution", "Avg"]
    column, of_column = measured(table())["In-distribution", "FF++"]
    assert average.auc == column.auc
    assert intervals["auc"] == pytest.approx(of_column["auc"])


def test_more_videos_have_a_narrower_interval() -> None:
    few, many = (measured(table(scale))["In-the-wild", "ITW"][1] for scale in (1, 20))
    assert np.ptp(many["auc"]) < np.ptp(few["auc"])
