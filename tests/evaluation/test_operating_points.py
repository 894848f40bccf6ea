"""Rates at thresholds; the share of fakes found at rare false alarms, with intervals that allow for both."""

import numpy as np
import pytest
from scipy.stats import norm

from dfray.evaluation.operating_points import needed_for, operating_points, tpr_at_fpr


def drawn(n_real: int, n_fake: int, seed: int = 0, shift: float = 1.5) -> tuple:
    """Labels and scores; fakes lie `shift` standard deviations above the real videos."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [n_real, n_fake])
    return labels, norm.cdf(rng.normal(size=n_real + n_fake) + shift * labels)


def test_rates_are_of_each_class_at_or_above_the_threshold():
    labels, scores = np.array([0, 0, 0, 0, 1, 1]), np.array([0.1, 0.3, 0.3, 0.9, 0.3, 0.8])
    own = next(p for p in operating_points(labels, scores, 0.3, 0.95) if p.is_own)
    assert (own.threshold, own.fpr.value, own.tpr.value) == (0.3, 0.75, 1.0)
    assert own.balanced_accuracy.value == pytest.approx(0.625)


def test_the_table_has_the_models_own_threshold_once_and_in_its_place():
    labels, scores = drawn(30, 30)
    of_own = [p.threshold for p in operating_points(labels, scores, 0.437, 0.95)]
    assert of_own == sorted(of_own)
    assert len(of_own) == 10
    assert [p.threshold for p in operating_points(labels, scores, 0.5, 0.95) if p.is_own] == [0.5]


def test_rates_fall_and_their_intervals_hold_them():
    points = operating_points(*drawn(40, 60), 0.5, 0.95)
    for rate in ("fpr", "tpr"):
        values = [getattr(point, rate).value for point in points]
        assert values == sorted(values, reverse=True)
    for point in points:
        for estimate in (point.fpr, point.tpr, point.balanced_accuracy):
            assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


@pytest.mark.parametrize("fpr", [0.01, 0.05])
def test_no_threshold_with_so_few_false_alarms_finds_more_fakes(fpr):
    labels, scores = drawn(400, 300)
    found = tpr_at_fpr(labels, scores, fpr, 0.95)
    real, fake = scores[labels == 0], scores[labels == 1]
    allowed = [np.mean(fake >= t) for t in scores if np.mean(real >= t) <= fpr]
    assert found.value == max(allowed)


def test_a_rate_that_so_few_real_videos_cannot_show_has_no_figure():
    assert (needed_for(0.01), needed_for(0.05)) == (100, 20)
    assert tpr_at_fpr(*drawn(19, 500), 0.05, 0.95) is None
    assert tpr_at_fpr(*drawn(20, 500), 0.05, 0.95) is not None


def test_few_real_videos_leave_the_lower_end_open_as_the_threshold_may_lie_anywhere_above():
    few = tpr_at_fpr(*drawn(20, 2000), 0.05, 0.95)
    many = tpr_at_fpr(*drawn(2000, 2000), 0.05, 0.95)
    assert few.low == 0
    assert many.low > 0.3
    assert many.high - many.low < 0.2


def test_the_interval_covers_the_true_rate():
    """Fakes and real videos are normal: the true rate is known. 300 draws of 150 + 50 videos."""
    shift, fpr = 1.5, 0.05
    true = norm.sf(norm.isf(fpr) - shift)
    intervals = [tpr_at_fpr(*drawn(150, 50, seed, shift), fpr, 0.95) for seed in range(300)]
    assert np.mean([i.low <= true <= i.high for i in intervals]) >= 0.95
