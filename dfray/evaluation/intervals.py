"""Confidence intervals of the ranking metrics that hold for few videos, and where a metric is 0 or 1.

A bootstrap of five real and five fake videos that are told apart without a mistake draws the same value every
time: an interval of no width. These intervals follow from the counts. In simulations of 5 + 5 to 500 + 500
videos and an AUC of 0.5 to 1.0 they cover the true value as often as they state, or nearly so
(`python -m tests.benchmarks.bench_intervals`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from dfray.tables import FAKE, REAL

Interval = tuple[float, float]
_CLOSE = 1e-9


@dataclass(frozen=True)
class Calls:
    """Counts and rates that an interval depends on beside the metric's value.

    Attributes:
        n_real, n_fake: videos, 1 or more each; of frames the videos that they are of, as frames of one
            video are alike.
        specificity, sensitivity: shares of the real and of the fake items that are called right.
    """

    n_real: int
    n_fake: int
    specificity: float
    sensitivity: float

    @classmethod
    def of(
        cls, labels: np.ndarray, called_fake: np.ndarray, video_labels: np.ndarray | None = None
    ) -> Self:
        """Return the calls of items of both classes.

        Args:
            labels, called_fake: int and bool (M,), of the items.
            video_labels: int (V,), of their videos; None: each item is one.
        """
        videos = labels if video_labels is None else video_labels
        return cls(
            n_real=int(np.sum(videos == REAL)),
            n_fake=int(np.sum(videos == FAKE)),
            specificity=float(np.mean(~called_fake[labels == REAL])),
            sensitivity=float(np.mean(called_fake[labels == FAKE])),
        )


def auc_interval(value: float, calls: Calls, confidence: float) -> Interval:
    """Return the interval of an AUC: Newcombe's method 5 (Statistics in Medicine 25, 2006, 559-573).

    The bounds are the AUCs from which the value is z standard errors away, by the variance of Hanley and
    McNeil (Radiology 143, 1982, 29-36) with both classes as large as their mean.
    """
    from scipy.optimize import brentq

    z_squared = _z(confidence) ** 2
    n_mean = (calls.n_real + calls.n_fake) / 2 - 1

    def excess(auc: float) -> float:
        spread = 1 + n_mean * ((1 - auc) / (2 - auc) + auc / (1 + auc))
        variance = auc * (1 - auc) * spread / (calls.n_real * calls.n_fake)
        return (value - auc) ** 2 - z_squared * variance

    # At an AUC of 0 or 1, excess is 0 where nothing is called wrong: no bound that is looked for.
    below, above = value * (1 - _CLOSE), value + (1 - value) * _CLOSE
    low = 0.0 if value <= 0 else brentq(excess, 0.0, below)
    high = 1.0 if value >= 1 else brentq(excess, above, 1.0)
    return float(low), float(high)


def balanced_accuracy_interval(value: float, calls: Calls, confidence: float) -> Interval:
    """Return the interval of a balanced accuracy, from those of its two rates."""
    rates = [(calls.specificity, calls.n_real), (calls.sensitivity, calls.n_fake)]
    return mean_interval(
        value,
        [(0.5, rate, proportion_interval(rate, count, confidence)) for rate, count in rates],
    )


def eer_interval(value: float, calls: Calls, confidence: float) -> Interval:
    """Return the interval of an equal error rate: that of a share of as many videos as a class has.

    The harmonic mean of both counts is taken. It is wider than it need be for many videos.
    """
    count = 2 * calls.n_real * calls.n_fake / (calls.n_real + calls.n_fake)
    return proportion_interval(value, count, confidence)


def average_precision_interval(value: float, calls: Calls, confidence: float) -> Interval:
    """Return the interval of an average precision: that of a share of as many videos as are fake.

    As Boyd, Eng and Page have it (ECML PKDD 2013, section 3.2), with another interval of a share. It is
    wider than it need be for many videos.
    """
    return proportion_interval(value, calls.n_fake, confidence)


def proportion_interval(value: float, count: float, confidence: float) -> Interval:
    """Return the interval of a share of `count` items (Clopper and Pearson, Biometrika 26, 1934, 404-413)."""
    from scipy.stats import beta

    tail, hits = (1 - confidence) / 2, value * count
    low = 0.0 if hits <= 0 else beta.ppf(tail, hits, count - hits + 1)
    high = 1.0 if hits >= count else beta.ppf(1 - tail, hits + 1, count - hits)
    return float(low), float(high)


def mean_interval(value: float, parts: Sequence[tuple[float, float, Interval]]) -> Interval:
    """Return the interval of a weighted sum of independent parts, from theirs.

    Each bound is as far away as the parts' are together (MOVER: Zou and Donner, Statistics in Medicine 27,
    2008, 1693-1702).

    Args:
        parts: (weight, value, interval).
    """
    low = math.sqrt(sum((weight * (part - ends[0])) ** 2 for weight, part, ends in parts))
    high = math.sqrt(sum((weight * (ends[1] - part)) ** 2 for weight, part, ends in parts))
    return max(0.0, value - low), min(1.0, value + high)


def _z(confidence: float) -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + confidence) / 2))


INTERVALS: dict[str, Callable[[float, Calls, float], Interval]] = {
    "auc": auc_interval,
    "balanced_accuracy": balanced_accuracy_interval,
    "eer": eer_interval,
    "average_precision": average_precision_interval,
}
"""The interval of each metric of `ranking_metrics.METRICS`."""
