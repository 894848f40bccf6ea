"""Table of the ranking metrics: each with its computation on scores and on bootstrap resamples.

To add a metric, add an entry to `METRICS`, its interval to `intervals.INTERVALS` and its field to
`metrics.Level`; a test holds that they agree. The comparison of two models, metrics.json, the tables and the
cards of the report iterate over this table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RocCurves:
    """ROC curves of R resamples at T thresholds, from (0, 0) to (1, 1) as the threshold falls.

    Attributes:
        tpr, fpr: float (R, T + 1), true and false positive rates.
        precision: float (R, T), share of fakes among the items at or above each threshold.
        n_called_fake: index into tpr and fpr of the model's own threshold.
    """

    tpr: np.ndarray
    fpr: np.ndarray
    precision: np.ndarray
    n_called_fake: int


@dataclass(frozen=True)
class RankingMetric:
    """One metric.

    Attributes:
        name: field of `metrics.Level` and key in metrics.json.
        label: for tables.
        title: for cards of the report.
        sentence: explanation for the cards; may use {percent:.0f}, the value in percent, {threshold:.4g} and
            {fakes_share:.2f}.
        point: (labels int (M,), scores float (M,), threshold) -> value.
        resampled: curves of R resamples -> float (R,).
    """

    name: str
    label: str
    title: str
    sentence: str
    point: Callable[[np.ndarray, np.ndarray, float], float]
    resampled: Callable[[RocCurves], np.ndarray]


def equal_error_rate(fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """Return the rate at which false positives equal misses on each ROC curve.

    Between two points of the curve the rates are interpolated linearly.

    Args:
        fpr, tpr: float (R, T), from (0, 0) to (1, 1) as the threshold falls.

    Returns:
        float (R,).
    """
    gap = fpr + tpr - 1  # rises from -1 to 1; zero where fpr = 1 - tpr
    after = np.argmax(gap >= 0, axis=1)
    rows = np.arange(len(gap))
    low, high = gap[rows, after - 1], gap[rows, after]
    share = -low / (high - low)
    rates: np.ndarray = fpr[rows, after - 1] + share * (fpr[rows, after] - fpr[rows, after - 1])
    return rates


def _auc(labels: np.ndarray, scores: np.ndarray, _: float) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores))


def _balanced_accuracy(labels: np.ndarray, scores: np.ndarray, threshold: float) -> float:
    from sklearn.metrics import balanced_accuracy_score

    return float(balanced_accuracy_score(labels, scores >= threshold))


def _eer(labels: np.ndarray, scores: np.ndarray, _: float) -> float:
    from sklearn.metrics import roc_curve

    fpr, tpr, _thresholds = roc_curve(labels, scores, drop_intermediate=False)
    return float(equal_error_rate(fpr[None], tpr[None])[0])


def _average_precision(labels: np.ndarray, scores: np.ndarray, _: float) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(labels, scores))


def _resampled_auc(curves: RocCurves) -> np.ndarray:
    widths, heights = np.diff(curves.fpr), curves.tpr[:, 1:] + curves.tpr[:, :-1]
    area: np.ndarray = np.sum(widths * heights, axis=1) / 2
    return area


def _resampled_balanced_accuracy(curves: RocCurves) -> np.ndarray:
    at = curves.n_called_fake
    accuracy: np.ndarray = (curves.tpr[:, at] + 1 - curves.fpr[:, at]) / 2
    return accuracy


def _resampled_eer(curves: RocCurves) -> np.ndarray:
    return equal_error_rate(curves.fpr, curves.tpr)


def _resampled_average_precision(curves: RocCurves) -> np.ndarray:
    precision: np.ndarray = np.sum(np.diff(curves.tpr) * curves.precision, axis=1)
    return precision


METRICS: dict[str, RankingMetric] = {
    metric.name: metric
    for metric in (
        RankingMetric(
            "auc",
            "AUC",
            "AUC",
            "In {percent:.0f} of 100 pairs of a fake and a real video, the fake has the higher score.",
            _auc,
            _resampled_auc,
        ),
        RankingMetric(
            "balanced_accuracy",
            "balanced accuracy",
            "Balanced accuracy",
            "At the threshold {threshold:.4g}, {percent:.0f} of 100 videos are called right, "
            "each class counting half.",
            _balanced_accuracy,
            _resampled_balanced_accuracy,
        ),
        RankingMetric(
            "eer",
            "EER",
            "Equal error rate",
            "At the threshold where both classes fare alike, {percent:.0f} of 100 videos are called "
            "wrong.",
            _eer,
            _resampled_eer,
        ),
        RankingMetric(
            "average_precision",
            "average precision",
            "Average precision",
            "Precision averaged over recall; a ranking by chance would get {fakes_share:.2f}.",
            _average_precision,
            _resampled_average_precision,
        ),
    )
}
