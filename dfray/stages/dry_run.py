"""Estimate of what a training takes, without training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dfray.batches.sample import quotas, sample_faces
from dfray.config import Recipe
from dfray.errors import DfrayError
from dfray.faces.shard_plan import expected_faces
from dfray.faces.view import FacesView
from dfray.run_context import RunContext
from dfray.run_manifest import planned_manifest

if TYPE_CHECKING:
    from dfray.training.estimate import TrainingEstimate

Counts = dict[str, tuple[int, int]]
"""split -> (real faces, fake faces) of its sample"""


@dataclass(frozen=True)
class TrainingPlan:
    """Sample, network and resources of a training run.

    Attributes:
        sample: faces of an epoch; empty if there is no manifest.
        source: origin of the counts, or the reason why there are none.
        estimate: the network, the steps, memory and time.
        cpus: name of a need -> CPUs, all at once.
        gpus: None: as many as there are workers, if the cluster has any.
        class_names: without a manifest, as if each corpus had all its kinds.
        account: a sentence for each reason by which the manifest leaves files out, and for each decision.
    """

    recipe: Recipe
    sample: Counts
    source: str
    estimate: TrainingEstimate
    cpus: dict[str, int]
    gpus: int | None
    class_names: tuple[str, ...]
    account: tuple[str, ...] = ()


def plan_training(run: RunContext) -> TrainingPlan:
    """Return the plan of the run's training; nothing is extracted, no weight loaded, no Ray started.

    Raises:
        RecipeError: the network or the objective cannot be built as the recipe asks.
        ManifestError: the videos lack a class of batches.labels.
    """
    from dfray.training.classes import require_trainable_classes
    from dfray.training.estimate import estimate_training

    recipe, section = run.recipe, run.recipe.training
    videos, sample, source, missing, account = None, Counts(), "", 1, list[str]()
    try:
        manifest = planned_manifest(run)
        videos, account = manifest.videos, manifest.sentences()
        missing = run.extracted(videos).missing
        sample, source = _sample(run, videos, missing)
    except DfrayError as error:
        source = f"not known: {error}"
    class_names = require_trainable_classes(recipe, videos).class_names
    cpus = {"train workers": section.num_workers * section.cpus_per_worker}
    if recipe.batches.stream_first_epoch and missing:
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
        account=tuple(account),
    )


def _sample(run: RunContext, videos: pa.Table, missing: int) -> tuple[Counts, str]:
    """Return the counts and their origin.

    Args:
        missing: number of videos without extracted faces.
    """
    if not missing:
        return _extracted(run.faces_of(videos), run.recipe), "of the extracted faces"
    source = f"expected from durations; {missing:,} videos are not yet extracted"
    return _expected(videos, run.recipe), source


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
        label = rows["label"].to_numpy()
        dataset = np.asarray(rows["dataset"].to_pylist())
        quota = quotas(dataset, label, expected_faces(rows, recipe.faces), recipe.batches.sampling)
        counts[split] = _by_class(np.repeat(label, quota), recipe)
    return counts


def _by_class(label: NDArray[np.int64], recipe: Recipe) -> tuple[int, int]:
    real, fake = int((label == 0).sum()), int((label != 0).sum())
    return real, real if recipe.batches.self_blend else fake  # each is blended to a fake
