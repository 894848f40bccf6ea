"""What training a recipe will take, told without training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dfray import storage
from dfray.batches.sample import quotas, sample_faces
from dfray.config import Recipe
from dfray.datasets.files import Files
from dfray.datasets.manifest import read_manifest
from dfray.errors import DfrayError
from dfray.faces.shard_plan import expected_faces
from dfray.faces.shards import FacesStore
from dfray.run_folder import RunFolder
from dfray.stages.data import check_manifest, count_done
from dfray.tables import VIDEOS

if TYPE_CHECKING:
    from dfray.training.estimate import TrainingEstimate

Counts = dict[str, tuple[int, int]]
"""split -> (real faces, fake faces) of its sample"""


@dataclass(frozen=True)
class TrainingPlan:
    """A training run as it would be.

    Attributes:
        sample: faces an epoch takes; empty if the manifest cannot be had.
        source: where the counts are from, or why there are none.
        estimate: the network, the steps, memory and time.
        cpus: what needs CPUs all at once -> how many.
        gpus: None: as many as there are workers, if the cluster has any.
        class_names: what is told apart; without a manifest, as if each corpus had all its kinds.
    """

    recipe: Recipe
    sample: Counts
    source: str
    estimate: TrainingEstimate
    cpus: dict[str, int]
    gpus: int | None
    class_names: tuple[str, ...]


def plan_training(recipe: Recipe) -> TrainingPlan:
    """Plan without training: nothing is extracted, no weight is loaded and no Ray is started.

    Raises:
        RecipeError: the network or the objective cannot be built as asked.
        ManifestError: the videos do not tell the classes that batches.labels asks for.
    """
    from dfray.training.classes import require_trainable_classes
    from dfray.training.estimate import estimate_training

    section = recipe.training
    streams = recipe.batches.stream_first_epoch
    videos, sample, source = None, Counts(), ""
    try:
        videos = planned_videos(recipe)
        sample, source, complete = _sample(recipe, videos)
        streams = streams and not complete
    except DfrayError as error:
        source = f"not known: {error}"
    class_names = require_trainable_classes(recipe, videos).class_names
    cpus = {"train workers": section.num_workers * section.cpus_per_worker}
    if streams:
        cpus["extraction"] = recipe.cluster.extract_workers or 1
    faces = sum(sample["train"]) if sample else None
    return TrainingPlan(
        recipe=recipe,
        sample=sample,
        source=source,
        estimate=estimate_training(recipe, len(class_names), faces),
        cpus=cpus,
        gpus={True: section.num_workers, False: 0, None: None}[section.use_gpu],
        class_names=class_names,
    )


def _sample(recipe: Recipe, videos: pa.Table) -> tuple[Counts, str, bool]:
    """The counts, where they are from, and whether every video has been extracted."""
    store = FacesStore(RunFolder(recipe).faces)
    missing = videos.num_rows - count_done(store, videos)
    if not missing:
        return _extracted(store, recipe), "of the extracted faces", True
    source = f"expected from durations; {missing:,} videos are not yet extracted"
    return _expected(videos, recipe), source, False


def planned_videos(recipe: Recipe) -> pa.Table:
    """The run's manifest, or what it would be; the run's folder is left unclaimed."""
    written = RunFolder(recipe).manifest
    if storage.exists(written):
        return read_manifest(written)
    if recipe.demo is None:
        return check_manifest(recipe).videos
    others = [corpus for corpus in recipe.corpora if corpus.reader != "demo"]
    planned = _demo_videos(recipe)
    if not others:
        return planned
    found = check_manifest(recipe.model_copy(update={"corpora": others, "demo": None})).videos
    return pa.concat_tables([planned, found])


def _demo_videos(recipe: Recipe) -> pa.Table:
    """VIDEOS of the demo's clips, none of which is drawn for it."""
    from dfray.datasets.readers.demo_clips import video_rows
    from dfray.demo import clip_rows

    assert recipe.demo is not None
    clips = list(clip_rows(recipe.demo, recipe.seed))
    rows = [
        {"kind": "video", "stride": 1} | row | {"split": corpus.split or row["split"]}
        for corpus in recipe.corpora
        if corpus.reader == "demo"
        for row in video_rows(corpus, Files(corpus.root), clips)
        if corpus.only is None or row["split"] in corpus.only
    ]
    return VIDEOS.from_rows(rows)


def _extracted(store: FacesStore, recipe: Recipe) -> Counts:
    return {
        name: _by_class(sample_faces(store.summaries([name]), name, recipe.batches).label, recipe)
        for name in ("train", "val")
    }


def _expected(videos: pa.Table, recipe: Recipe) -> Counts:
    counts = {}
    splits = np.asarray(videos["split"].to_pylist())
    for name in ("train", "val"):
        rows = videos.filter(pa.array(splits == name))
        label = rows["label"].to_numpy()
        dataset = np.asarray(rows["dataset"].to_pylist())
        quota = quotas(dataset, label, expected_faces(rows, recipe.faces), recipe.batches.sampling)
        counts[name] = _by_class(np.repeat(label, quota), recipe)
    return counts


def _by_class(label: np.ndarray, recipe: Recipe) -> tuple[int, int]:
    real, fake = int((label == 0).sum()), int((label != 0).sum())
    return real, real if recipe.batches.self_blend else fake  # each brings a fake of its own
