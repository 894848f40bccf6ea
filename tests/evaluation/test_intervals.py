"""Intervals of metrics: they cover what they state, for few videos and where nothing is called wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from dfray.evaluation.intervals import (
    INTERVALS,
    Calls,
    auc_interval,
    balanced_accuracy_interval,
    mean_interval,
    proportion_interval,
)
from dfray.evaluation.ranking_metrics import METRICS

PERFECT = Calls(5, 5, specificity=1.0, sensitivity=1.0)


def test_every_metric_has_an_interval() -> None:
    assert INTERVALS.keys() == METRICS.keys()


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("value", [0.0, 1e-6, 0.3, 0.9, 1 - 1e-6, 1.0])
@pytest.mark.parametrize("counts", [(1, 1), (5, 5), (3, 400), (500, 500)])
def test_an_interval_holds_the_value_and_lies_in_0_to_1(
    name: str, value: float, counts: tuple[int, int]
) -> None:
    low, high = INTERVALS[name](value, Calls(*counts, specificity=value, sensitivity=value), 0.95)
    assert 0 <= low <= value <= high <= 1
    assert high - low > 1 / sum(counts) ** 2


def test_ten_videos_that_are_told_apart_without_a_mistake_prove_little() -> None:
    assert auc_interval(1.0, PERFECT, 0.95)[0] < 0.7
    assert balanced_accuracy_interval(1.0, PERFECT, 0.95)[0] < 0.7
    one = Calls(1, 1, specificity=1.0, sensitivity=1.0)
    assert auc_interval(1.0, one, 0.95)[0] < 0.3


def test_more_videos_or_less_confidence_make_it_narrower() -> None:
    def width(count: int, confidence: float) -> float:
        low, high = auc_interval(0.9, Calls(count, count, 0.9, 0.9), confidence)
        return high - low

    assert width(20, 0.95) > 1.8 * width(80, 0.95)
    assert width(20, 0.95) > 1.1 * width(20, 0.9)


def test_a_share_has_the_interval_of_clopper_and_pearson() -> None:
    """Their table: 1 of 10 and 10 of 10 at 95 %."""
    assert proportion_interval(0.1, 10, 0.95) == pytest.approx((0.0025, 0.4450), abs=1e-4)
    assert proportion_interval(1.0, 10, 0.95) == pytest.approx((0.6915, 1.0), abs=1e-4)


def test_a_mean_is_surer_than_its_parts() -> None:
    parts = [(0.5, 0.8, (0.6, 0.9)), (0.5, 0.8, (0.6, 0.9))]
    low, high = mean_interval(0.8, parts)
    assert (0.8 - low, high - 0.8) == pytest.approx((0.2 / 2**0.5, 0.1 / 2**0.5))


@pytest.mark.parametrize(("auc", "count"), [(0.5, 5), (0.9, 5), (0.99, 10), (0.7, 40)])
def test_it_covers_the_true_auc_at_least_92_times_in_100(auc: float, count: int) -> None:
    """`python -m tests.benchmarks.bench_intervals` does so for all metrics and up to 500 videos."""
    rng, apart = np.random.default_rng(1), 2**0.5 * norm.ppf(auc)
    label = np.repeat([0, 1], count)
    calls = Calls(count, count, 0.5, 0.5)
    covered = 0
    for _ in range(400):
        value = roc_auc_score(label, rng.normal(size=2 * count) + apart * label)
        low, high = auc_interval(float(value), calls, 0.95)
        covered += low <= auc <= high
    assert covered >= 0.92 * 400
