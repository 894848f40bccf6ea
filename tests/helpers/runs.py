"""Runs as their stages leave them, written without running any."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from dfray import storage
from dfray.config import Recipe
from dfray.datasets.manifest import Manifest, write_manifest
from dfray.dependencies import Dependencies
from dfray.faces.shards import FacesStore
from dfray.run_context import RunContext
from tests.helpers.rows import videos_table, write_store

Video = tuple[dict, list[np.ndarray]]
_LISTED = ("uri", "label", "split", "category", "method")


def write_faces(
    recipe: Recipe,
    videos: Sequence[Video],
    landmarks: Callable[[dict, int], np.ndarray | None] = lambda video, frame: None,
) -> FacesStore:
    """Write the manifest of these videos, and the store of their crops, where the recipe's runs have them."""
    run = RunContext.of(recipe)
    write_manifest(Manifest(videos_table([video for video, _ in videos])), run.runs.manifest)
    return write_store(run.folder.faces, list(videos), recipe.faces, landmarks)


def write_corpus_of(recipe: Recipe, videos: Sequence[Video]) -> list[Video]:
    """Write the recipe's CSV with an empty file for each video; return the videos where they lie now."""
    root = recipe.corpora[0].root
    place = root.rpartition("/")[0]
    placed = [
        (video | {"uri": f"{place}/videos/{video['uri'].rpartition('/')[2]}"}, crops)
        for video, crops in videos
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, _LISTED, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(video for video, _ in placed)
    storage.write_bytes(text.getvalue().encode(), root)
    for video, _ in placed:
        storage.write_bytes(b"", video["uri"])
    return placed


def write_run(recipe: Recipe, videos: Sequence[Video]) -> FacesStore:
    """Write corpus, manifest and faces of videos, so that a training is all there is to do."""
    return write_faces(recipe, write_corpus_of(recipe, videos))


def latest_run(work_dir: Path | str, name: str) -> Path:
    """Return the local folder of the run that a command last used."""
    root = Path(work_dir, name)
    return root / json.loads((root / "latest").read_text())["run"]


def mlflow_status(work_dir: Path | str, name: str) -> str:
    """Return the status of the MLflow run of the local run that a command last used."""
    from dfray.tracking.client import connect

    state = json.loads((latest_run(work_dir, name) / "state.json").read_text())
    return str(connect(state["tracking_uri"]).get_run(state["run_id"]).info.status)


def models_of(work_dir: Path | str, name: str) -> list[str]:
    """Return the URIs of the models that the runs of a name have trained."""
    files = storage.walk_files(f"{work_dir}/{name}")
    return [uri for uri in files if uri.endswith("/model/bundle.json")]


def store_of(work_dir: Path | str, name: str | None = None) -> FacesStore:
    """Return the store of faces of the latest run of a name, or the only one of a work_dir."""
    if name is None:
        (key,) = storage.list_folders(f"{work_dir}/faces")
    else:
        record = json.loads((latest_run(work_dir, name) / "run.json").read_text())
        key = Dependencies(record["dependencies"]).of_faces().key
    return FacesStore(f"{work_dir}/faces/{key}")
