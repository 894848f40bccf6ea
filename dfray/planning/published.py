"""Manifest of videos that are not downloaded, with as many rows as are published of a recipe's corpora."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from dfray.config import CorpusSection, Recipe
from dfray.datasets.published import Published
from dfray.datasets.readers import reader
from dfray.errors import ManifestError
from dfray.tables import FAKE, REAL, SPLITS, VIDEOS


def published_videos(recipe: Recipe) -> tuple[pa.Table, list[str]]:
    """Return VIDEOS without files, and the names of corpora without published counts of both classes.

    Their lengths are whole seconds with the published mean, where there is one. Where a corpus publishes the
    videos of its splits and those of its classes, but not both at once, every split has the same share of
    fakes; where it publishes no splits, all of its videos are for testing.

    Raises:
        ManifestError: none of the recipe's corpora has published counts.
    """
    rows: list[dict[str, Any]] = []
    unknown = []
    for corpus in recipe.corpora:
        published = reader(corpus.reader).published
        if published is None or not published.fake:
            unknown.append(corpus.dataset or corpus.reader)
        else:
            rows += _rows(corpus, published)
    if not rows:
        raise ManifestError(
            f"--manifest published: no counts are published of {', '.join(unknown)}.",
            "Name a recipe whose corpora have some, such as fsfm-ba, or the URI of a manifest.",
        )
    return VIDEOS.from_rows(rows), unknown


def _rows(corpus: CorpusSection, published: Published) -> list[dict[str, Any]]:
    dataset = corpus.dataset or corpus.reader
    if corpus.methods and published.n_methods:  # else as many as all methods have
        published = published.of_methods(len(corpus.methods))
    counts = {name: getattr(published, name) for name in SPLITS}
    splits = counts if any(counts.values()) else {"test": published.real + published.fake}
    share = published.fake / (published.real + published.fake)
    rows = []
    for split, count in splits.items():
        if corpus.only and split not in corpus.only:
            continue
        n_fake = round(count * share)
        ends_s = np.floor(np.arange(count + 1) * (published.length_s or 0))
        for number in range(count):
            label, category = (FAKE, "fake") if number < n_fake else (REAL, "real")
            stem = f"{split}-{number:06d}"
            rows.append(
                {
                    "video_id": f"{dataset}/{category}/{stem}",
                    "dataset": dataset,
                    "split": corpus.split or split,
                    "label": label,
                    "category": category,
                    "method": category,
                    "uri": f"published://{dataset}/{category}/{stem}",
                    "duration_s": float(ends_s[number + 1] - ends_s[number]) or None,
                }
            )
    return rows
