"""A setting trained with several seeds; how two differ: a paired bootstrap over videos and seeds.

Both settings are scored on the same videos, drawn anew together (real and fake apart), and seeds are drawn
anew in pairs, as the same seed gives both settings the same weights and batches to begin with. Three seeds
make a coarse interval: it is narrower than the truth rather than wider.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dfray.evaluation.aggregate import is_scored
from dfray.evaluation.bootstrap import percentile_interval
from tests.helpers.resampling import resample_metrics

RESAMPLES = 4000


@dataclass(frozen=True)
class Retrained:
    """Test AUC of one setting.

    Attributes:
        videos: what was scored, in words.
        aucs: one for each seed.
        resampled: float (seeds, RESAMPLES), on the same draws of videos for all settings.
    """

    name: str
    videos: str
    aucs: list[float]
    resampled: np.ndarray

    @property
    def mean(self) -> float:
        return statistics.fmean(self.aucs)

    @property
    def spread(self) -> float:
        return statistics.stdev(self.aucs)


@dataclass(frozen=True)
class Difference:
    """Of the mean AUC of two settings, with its 95 % interval."""

    value: float
    low: float
    high: float


def retrained(name: str, scored: Sequence[pa.Table]) -> Retrained:
    """Return the metrics of a setting from VIDEO_SCORES of the same videos, one table for each seed."""
    from sklearn.metrics import roc_auc_score

    aucs, resampled = [], []
    for videos in scored:
        scored_videos = videos.filter(pa.array(is_scored(videos))).sort_by("video_id")
        labels = scored_videos.column("label").to_numpy().astype(np.int64)
        scores = scored_videos.column("fake_probability").to_numpy()
        aucs.append(float(roc_auc_score(labels, scores)))
        drawn = resample_metrics(
            scores,
            np.arange(len(scores)),
            labels,
            threshold=0.5,
            resamples=RESAMPLES,
            rng=np.random.default_rng(0),  # the same draws for all that are compared
        )
        resampled.append(drawn["auc"])
    counts = f"{int(np.sum(labels == 0))} real and {int(np.sum(labels == 1))} fake videos"
    return Retrained(name, counts, aucs, np.stack(resampled))


def difference(a: Retrained, b: Retrained) -> Difference:
    """Return a - b with its interval."""
    apart = a.resampled - b.resampled  # (seeds, RESAMPLES)
    seeds = np.random.default_rng(1).integers(0, len(apart), apart.shape)
    drawn = np.take_along_axis(apart, seeds, axis=0).mean(axis=0)
    return Difference(a.mean - b.mean, *percentile_interval(drawn, 0.95))
