"""Estimate of what a training takes, without training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dfray.checks import Subject
from dfray.config import Recipe
from dfray.errors import DfrayError
from dfray.planning.sample import Counts, planned_sample
from dfray.run_context import RunContext

if TYPE_CHECKING:
    from dfray.training.estimate import TrainingEstimate


@dataclass(frozen=True)
class TrainingPlan:
    """Sample, network and resources of a training run.

    Attributes:
        sample: faces of an epoch; empty if there is no manifest.
        source: origin of the counts, or the reason why there are none.
        estimate: the network, the steps, memory and time.
        cpus: name of a need -> CPUs, all at once.
        gpus: None: as many as there are workers, if the cluster has any.
        gpu_gib: memory of this machine's GPU; None: it has none.
        class_names: without a manifest, as if each corpus had all its kinds.
        account: a sentence for each reason by which the manifest leaves files out, and for each decision.
    """

    recipe: Recipe
    sample: Counts
    source: str
    estimate: TrainingEstimate
    cpus: dict[str, int]
    gpus: int | None
    gpu_gib: float | None
    class_names: tuple[str, ...]
    account: tuple[str, ...] = ()


def plan_training(run: RunContext, subject: Subject | None = None) -> TrainingPlan:
    """Return the plan of the run's training; nothing is extracted, no weight loaded, no Ray started.

    Args:
        subject: of checks that have read the run's videos.

    Raises:
        RecipeError: the network or the objective cannot be built as the recipe asks.
        ManifestError: the videos lack a class of batches.labels.
    """
    from dfray.training.classes import require_trainable_classes
    from dfray.training.estimate import estimate_training, local_gpu_gib

    recipe, section, subject = run.recipe, run.recipe.training, subject or Subject(run)
    videos, sample, source, missing, account = None, Counts(), "", 1, list[str]()
    try:
        manifest = subject.manifest
        videos, account = manifest.videos, manifest.sentences()
        missing = subject.missing
        planned = planned_sample(run, videos, missing)
        sample, source = planned.counts, planned.source
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
        gpu_gib=local_gpu_gib(),
        class_names=class_names,
        account=tuple(account),
    )
