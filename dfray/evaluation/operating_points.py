"""Operating points: how many real videos are called fake, and how many fakes are found, at a threshold."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict

from dfray.config import UNFITTED_THRESHOLD
from dfray.evaluation.estimate import Estimate
from dfray.evaluation.intervals import Calls, balanced_accuracy_interval, proportion_interval
from dfray.tables import FAKE, REAL

THRESHOLDS = tuple(number / 10 for number in range(1, 10))
"""Thresholds of the table beside the model's own."""


class OperatingPoint(BaseModel):
    """Rates at one threshold, over scored videos.

    Attributes:
        threshold: a video is called fake at or above it.
        is_own: it is the model's own threshold.
        fpr: share of the real videos that are called fake.
        tpr: share of the fakes that are found.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float
    is_own: bool
    fpr: Estimate
    tpr: Estimate
    balanced_accuracy: Estimate


def operating_points(
    labels: np.ndarray, scores: np.ndarray, own: float, confidence: float
) -> list[OperatingPoint]:
    """Return the rates at THRESHOLDS, at the papers' 0.5 and at the model's own, by rising threshold.

    Args:
        labels, scores: int and float (V,), of scored videos of both classes.
        own: the model's threshold.
    """
    thresholds = sorted({*THRESHOLDS, UNFITTED_THRESHOLD, own})
    real, fake = scores[labels == REAL], scores[labels == FAKE]
    return [_point(real, fake, t, t == own, confidence) for t in thresholds]


def _point(
    real: np.ndarray, fake: np.ndarray, threshold: float, is_own: bool, confidence: float
) -> OperatingPoint:
    fpr, tpr = float(np.mean(real >= threshold)), float(np.mean(fake >= threshold))
    calls = Calls(len(real), len(fake), specificity=1 - fpr, sensitivity=tpr)
    accuracy = (calls.specificity + calls.sensitivity) / 2
    return OperatingPoint(
        threshold=threshold,
        is_own=is_own,
        fpr=Estimate.of(fpr, proportion_interval(fpr, len(real), confidence)),
        tpr=Estimate.of(tpr, proportion_interval(tpr, len(fake), confidence)),
        balanced_accuracy=Estimate.of(
            accuracy, balanced_accuracy_interval(accuracy, calls, confidence)
        ),
    )


def needed_for(fpr: float) -> int:
    """Return the number of real videos of which one is the share `fpr`: fewer cannot show such a rate."""
    return math.ceil(1 / fpr - 1e-9)


def tpr_at_fpr(
    labels: np.ndarray, scores: np.ndarray, fpr: float, confidence: float
) -> Estimate | None:
    """Return the share of fakes found at the lowest threshold that calls at most a share `fpr` of real fake.

    The interval takes into account that the threshold, too, is known from few real videos: bounds of the
    quantile by order statistics, and of the share above each bound by Clopper and Pearson, each with half of
    the error that the confidence leaves. So it covers at least as often as it states.

    Args:
        labels, scores: int and float (V,), of scored videos of both classes.

    Returns:
        None if there are less than `needed_for(fpr)` real videos.
    """
    from scipy.stats import binom

    real = np.sort(scores[labels == REAL])[::-1]
    fake = scores[labels == FAKE]
    if len(real) < needed_for(fpr):
        return None
    allowed = int(np.floor(fpr * len(real) + 1e-9))
    tail = (1 - confidence) / 4
    fewest = int(binom.ppf(tail, len(real), fpr))  # real videos above the true threshold
    most = int(binom.isf(tail, len(real), fpr))
    value = float(np.mean(fake > real[allowed])) if allowed < len(real) else 1.0
    of_side = 1 - 2 * tail
    low = 0.0
    if fewest:
        share = float(np.mean(fake >= real[fewest - 1]))
        low = proportion_interval(share, len(fake), of_side)[0]
    share = float(np.mean(fake >= real[most])) if most < len(real) else 1.0
    high = proportion_interval(share, len(fake), of_side)[1]
    return Estimate.of(value, (min(low, value), max(high, value)))
