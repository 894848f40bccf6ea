"""Whether a score of 0.8 is fake eight times in ten."""

from __future__ import annotations

import numpy as np

BINS = 10


def calibration_error(labels: np.ndarray, scores: np.ndarray) -> float:
    """The expected calibration error over BINS bins of equal width (arXiv 1706.04599 section 2).

    The mean distance between a bin's mean score and its share of fakes, each bin counted as often as it
    has videos. With few videos it is above zero for a calibrated model too.

    Args:
        labels: int (V,), 0 real or 1 fake; V >= 1.
        scores: float (V,), fake probabilities, 0..1.
    """
    of_bin = np.minimum((np.asarray(scores) * BINS).astype(int), BINS - 1)
    gaps = np.bincount(of_bin, weights=np.asarray(scores) - labels, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))
