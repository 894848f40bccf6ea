"""Operational metrics: detection at rare false alarms, and how far scores are probabilities."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

from dfray.evaluation.estimate import Estimate
from dfray.evaluation.intervals import proportion_interval
from dfray.evaluation.operating_points import tpr_at_fpr

BINS = 10


class OperationalMetrics(BaseModel):
    """Video-level metrics for use.

    Attributes:
        tpr_at_fpr_1, tpr_at_fpr_5: share of fakes found where at most 1 % (5 %) of the real videos are called
            fake; null with less than 100 (20) real videos.
        brier: mean squared distance of score and label (Brier, Monthly Weather Review 78, 1950, 1-3); its
            interval is that of a share of as many videos, which is wider than it need be.
        calibration_error: expected calibration error, by the function of that name; too high with few videos.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tpr_at_fpr_1: Estimate | None
    tpr_at_fpr_5: Estimate | None
    brier: Estimate
    calibration_error: float

    @classmethod
    def of(cls, labels: np.ndarray, scores: np.ndarray, confidence: float) -> OperationalMetrics:
        """Return the metrics of scored videos of both classes; labels int (V,), scores float (V,)."""
        brier = float(np.mean((scores - labels) ** 2))
        at_1, at_5 = (tpr_at_fpr(labels, scores, fpr, confidence) for fpr in (0.01, 0.05))
        return cls(
            tpr_at_fpr_1=at_1,
            tpr_at_fpr_5=at_5,
            brier=Estimate.of(brier, proportion_interval(brier, len(labels), confidence)),
            calibration_error=calibration_error(labels, scores),
        )


def calibration_error(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the expected calibration error over BINS bins of equal width (arXiv 1706.04599 section 2).

    The mean distance between a bin's mean score and its share of fakes, each bin counted as often as it
    has videos. With few videos it is above zero for a calibrated model too.

    Args:
        labels: int (V,), 0 real or 1 fake; V >= 1.
        scores: float (V,), fake probabilities, 0..1.
    """
    of_bin = np.minimum((np.asarray(scores) * BINS).astype(int), BINS - 1)
    gaps = np.bincount(of_bin, weights=np.asarray(scores) - labels, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))
