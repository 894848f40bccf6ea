"""What models of a chosen quality were measured to do, on videos that they share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from dfray.evaluation.paired import STORED_SCORES
from dfray.registry.measurements import Measurement, headline_metrics


def measured(
    apart: float = 2.0,
    *,
    own: int = 0,
    videos: int = 80,
    dataset: str = "toy",
    method: str = "swap",
    threshold: float = 0.5,
    evaluation_set: str = "today",
    unscored: int = 0,
    **figures: Any,
) -> Measurement:
    """Measured of a model whose fakes score `apart` standard deviations above its real videos.

    Args:
        own: seed of what this model alone finds hard; most of it all models share.
        unscored: of the videos, without a score.
        figures: set in place of what the scores give.
    """
    shared = np.random.default_rng(7).normal(size=videos)
    noise = 0.8 * shared + 0.6 * np.random.default_rng(own).normal(size=videos)
    label = np.arange(videos) % 2
    score = 1 / (1 + np.exp(-(noise + apart * (label - 0.5))))
    rows = [
        {
            "video_id": f"{dataset}/{method if label[i] else 'camera'}/{i:04d}",
            "dataset": dataset,
            "split": "test",
            "label": int(label[i]),
            "category": "FS" if label[i] else "real",
            "method": method if label[i] else "camera",
            "status": "ok" if i >= unscored else "no_face",
            "reason": None,
            "n_faces": 5,
            "fake_probability": float(score[i]) if i >= unscored else None,
            "person": f"person-{i // 2:03d}",
        }
        for i in range(videos)
    ]
    scores = STORED_SCORES.from_rows(rows)
    found = headline_metrics(scores, threshold=threshold, evaluation_set=evaluation_set)
    return Measurement(replace(found, **figures), scores)


COUNTS = {
    "ff++": (140, 560),
    "celeb-df-v2": (178, 340),
    "dfdc": (2500, 2500),
    "fakeavceleb": (60, 2400),
    "forgerynet": (2400, 2600),
    "df40": (178, 3700),
    "wilddeepfake": (400, 400),
    "itw": (1900, 200),
    "deepfake-eval-2024": (2000, 400),
}
"""Real and fake videos of nine test sets, with other shares of fakes in each, as the papers' sets have."""


def video_rows(dataset: str, n_real: int, n_fake: int, methods: int = 1) -> list[dict[str, Any]]:
    """Return rows of STORED_SCORES, the real videos first, each with a score of 0.5."""
    return [
        {
            "video_id": f"{dataset}/{number}",
            "dataset": dataset,
            "split": "test",
            "label": int(number >= n_real),
            "category": "FS" if number >= n_real else "real",
            "method": f"m{number % methods}" if number >= n_real else "camera",
            "status": "ok",
            "reason": None,
            "n_faces": 3,
            "fake_probability": 0.5,
            "person": f"{dataset}/{number}",
        }
        for number in range(n_real + n_fake)
    ]


def corpus_scorer() -> pa.Table:
    """Return STORED_SCORES of a scorer that knows only the corpus of a video: its share of fakes."""
    return STORED_SCORES.from_rows(
        [
            row | {"fake_probability": n_fake / (n_real + n_fake)}
            for name, (n_real, n_fake) in COUNTS.items()
            for row in video_rows(name, n_real, n_fake, methods=21 if name == "df40" else 1)
        ]
    )
