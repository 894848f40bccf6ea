"""Faces of an epoch: counted where they are stored, expected from the videos' durations where not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dfray.batches.choice import choose_faces
from dfray.batches.sample import sample_faces
from dfray.config import Recipe
from dfray.faces.shard_plan import expected_faces
from dfray.faces.view import FacesView
from dfray.run_context import RunContext

Counts = dict[str, tuple[int, int]]
"""split -> (real faces, fake faces) of its sample"""


@dataclass(frozen=True)
class PlannedSample:
    """Sample of train and val.

    Attributes:
        source: origin of the counts.
    """

    counts: Counts
    source: str


def planned_sample(run: RunContext, videos: pa.Table, missing: int) -> PlannedSample:
    """Return the sample of an epoch of VIDEOS.

    Args:
        missing: number of videos without extracted faces.

    Raises:
        ManifestError: as `sample_faces`, of stored faces.
    """
    if not missing:
        return PlannedSample(_extracted(run.faces_of(videos), run.recipe), "of the extracted faces")
    source = f"expected from durations; {missing:,} videos are not yet extracted"
    return PlannedSample(_expected(videos, run.recipe), source)


def _extracted(faces: FacesView, recipe: Recipe) -> Counts:
    """Count the sample of the stored faces."""
    counts = {}
    for split in ("train", "val"):
        sample = sample_faces(faces.summaries([split]), split, recipe.batches)
        counts[split] = _by_class(sample.label, recipe)
    return counts


def _expected(videos: pa.Table, recipe: Recipe) -> Counts:
    """Count the sample that VIDEOS give by their durations."""
    counts = {}
    splits = np.asarray(videos["split"].to_pylist())
    for split in ("train", "val"):
        rows = videos.filter(pa.array(splits == split))
        expected = expected_faces(rows, recipe.faces)
        chosen = choose_faces(rows, expected, split, recipe.batches)
        counts[split] = _by_class(rows["label"].to_numpy()[chosen.video], recipe)
    return counts


def _by_class(label: NDArray[np.int64], recipe: Recipe) -> tuple[int, int]:
    real, fake = int((label == 0).sum()), int((label != 0).sum())
    return real, real if recipe.batches.self_blend else fake  # each is blended to a fake
