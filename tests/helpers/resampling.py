"""Metrics on resamples of videos, in each of which a video is drawn with all its frames."""

from __future__ import annotations

import numpy as np

from dfray.evaluation import bootstrap
from dfray.evaluation.bootstrap import Ranked, draw
from dfray.evaluation.ranking_metrics import METRICS


def resample_metrics(
    scores: np.ndarray,
    video_of: np.ndarray,
    labels: np.ndarray,
    *,
    threshold: float,
    resamples: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Return every metric of METRICS on `resamples` resamples of the videos.

    Args:
        scores: float (M,), one per item (a video or a frame).
        video_of: int (M,), the video of each item, in 0..V-1.
        labels: int (V,), 0 real or 1 fake; both occur.
        threshold: an item is called fake at or above it.

    Returns:
        name -> float64 (resamples,).
    """
    ranked = Ranked(scores, labels[video_of] == 1, threshold)
    chunks = [
        ranked.metrics(counts[:, video_of])
        for counts in draw(labels, resamples, max(1, bootstrap.CHUNK // len(scores)), rng)
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in METRICS}
