"""Runs as their stages leave them, written without running any."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dfray.config import Recipe
from dfray.datasets.manifest import Manifest, write_manifest
from dfray.faces.shards import FacesStore
from dfray.run_context import RunContext
from tests.helpers.rows import videos_table, write_store


def write_faces(
    recipe: Recipe,
    videos: Sequence[tuple[dict, list[np.ndarray]]],
    landmarks: Callable[[dict, int], np.ndarray | None] = lambda video, frame: None,
) -> FacesStore:
    """Write the recipe's manifest of these videos, and a store of their crops; return the store."""
    folder = RunContext.of(recipe).folder
    write_manifest(Manifest(videos_table([video for video, _ in videos])), folder.manifest)
    return write_store(folder.faces, list(videos), recipe.faces, landmarks)
