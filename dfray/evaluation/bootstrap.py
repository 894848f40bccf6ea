"""Bootstrap of ranking metrics: videos are resampled within their class, all resamples at once.

Frames of one video are alike, so videos are resampled with all their frames (cluster bootstrap); real and
fake videos are drawn separately, so no resample lacks a class. The scores are
sorted once; a resample only changes how often each counts, so every metric is a few cumulative sums
over a (resamples, scores) matrix, in chunks that stay in cache.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dfray.evaluation.ranking_metrics import METRICS, RocCurves

CHUNK = 2_000_000
"""Elements of one (resamples, scores) matrix."""


class Ranked:
    """Scores, sorted once for the metrics of any number of resamples of them.

    Args:
        scores: float (M,).
        is_fake: bool (M,).
        threshold: an item is called fake at or above it.
    """

    def __init__(self, scores: np.ndarray, is_fake: np.ndarray, threshold: float) -> None:
        self._order = np.argsort(-scores, kind="stable")
        descending = scores[self._order]
        self._last_of_tie = np.append(descending[1:] != descending[:-1], True)
        self._n_called_fake = int(np.count_nonzero(descending[self._last_of_tie] >= threshold))
        self._is_fake = is_fake[self._order]

    def metrics(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return every metric of METRICS, float64 (R,), of R resamples.

        Args:
            counts: int (R, M), how often each item was drawn; some of either class in every row.
        """
        weights = counts[:, self._order]
        fakes = np.cumsum(weights * self._is_fake, axis=1, dtype=np.int64)[:, self._last_of_tie]
        reals = np.cumsum(weights * ~self._is_fake, axis=1, dtype=np.int64)[:, self._last_of_tie]
        return _metrics(fakes, reals, self._n_called_fake)


def draw(
    strata: np.ndarray, resamples: int, rows: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield counts of each unit, int64 (<= rows, U): as many draws of every stratum as it has units.

    Args:
        strata: int (U,), the stratum of each unit: for a video its label, so that no class gets lost.
    """
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        counts = np.zeros((size, len(strata)), np.int64)
        for stratum in np.unique(strata):
            units = np.flatnonzero(strata == stratum)
            picks = rng.integers(0, len(units), (size, len(units)))
            picks += np.arange(size)[:, None] * len(units)
            flat = np.bincount(picks.ravel(), minlength=size * len(units))
            counts[:, units] = flat.reshape(size, len(units))
        yield counts


def percentile_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Return the two-sided percentile interval (low, high) of bootstrap values, float (R,)."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _metrics(fakes: np.ndarray, reals: np.ndarray, n_called_fake: int) -> dict[str, np.ndarray]:
    """Return each metric, float (R,); `fakes` and `reals` (R, T) count the items at or above threshold t."""
    before = np.zeros((len(fakes), 1))
    curves = RocCurves(
        tpr=np.hstack([before, fakes / fakes[:, -1:]]),
        fpr=np.hstack([before, reals / reals[:, -1:]]),
        precision=fakes / np.maximum(fakes + reals, 1),
        n_called_fake=n_called_fake,
    )
    return {name: metric.resampled(curves) for name, metric in METRICS.items()}
