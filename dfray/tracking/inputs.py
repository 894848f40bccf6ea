"""Datasets of a run as MLflow's inputs: one for each corpus and split of its manifest."""

from __future__ import annotations

import hashlib
import json
from itertools import takewhile
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from dfray import storage
from dfray.tables import FAKE, REAL, SPLITS
from dfray.text import mask, tag

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

_CONTEXTS = {"train": "training", "val": "validation", "test": "testing"}
"""Split -> the value of `mlflow.data.context`, by which MLflow's page names an input."""


def dataset_inputs(videos: pa.Table) -> list[DatasetInput]:
    """Return an input for each dataset and split of VIDEOS, with its place, counts and digest of ids."""
    inputs = []
    for name in sorted(set(videos["dataset"].to_pylist())):
        of_dataset = videos.filter(pc.equal(videos["dataset"], name))
        for split in SPLITS:
            rows = of_dataset.filter(pc.equal(of_dataset["split"], split))
            if rows.num_rows:
                inputs.append(_input(name, split, rows))
    return inputs


def _input(name: str, split: str, rows: pa.Table) -> DatasetInput:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    place = _common_place(rows["uri"].to_pylist())
    labels = rows["label"].to_pylist()
    counts = {
        "num_rows": rows.num_rows,
        "real": labels.count(REAL),
        "fake": labels.count(FAKE),
    }
    ids = "\n".join(sorted(rows["video_id"].to_pylist()))
    dataset = Dataset(
        name=tag(name),
        digest=hashlib.sha256(ids.encode()).hexdigest()[:16],
        source_type=place.partition("://")[0] if storage.is_remote(place) else "local",
        source=json.dumps({"uri": mask(place)}),
        profile=json.dumps(counts),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", _CONTEXTS[split])])


def _common_place(uris: list[str]) -> str:
    """Return the deepest folder that holds all videos, local or remote."""
    levels = zip(*(uri.split("/")[:-1] for uri in uris), strict=False)
    shared = takewhile(lambda names: len(set(names)) == 1, levels)
    place = "/".join(names[0] for names in shared) or "/"
    return f"{place}/" if place.endswith(":/") else place  # several buckets
