"""Hours, memory, storage and cost of a recipe on given nodes, and its bottleneck.

The estimate assumes that every core is as fast as the one here, that workers do not slow each other down,
and that network and object store are no bottleneck; its output says so. Ray's start is not counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from dfray.config import Recipe
from dfray.errors import ResourceError
from dfray.planning.extraction import ExtractionTotal, Interval
from dfray.planning.nodes import NodeGroup, Nodes
from dfray.planning.speed import Speed, trains_on_gpus
from dfray.training.estimate import TRAIN_TO_FORWARD, TrainingEstimate

OBJECT_STORE_SHARE = 0.3
"""Share of a node's memory that Ray's object store takes by default."""
RAY_WORKER_BYTES = 250 * 2**20
"""Memory of Ray's process around an extraction worker, as measured here."""
_SHARDS_PER_WORKER = 4


def require_room(recipe: Recipe, nodes: Nodes) -> None:
    """Check that the training workers fit on the nodes.

    Raises:
        ResourceError: they need more GPUs or CPUs than the nodes have.
    """
    workers, training = recipe.training.num_workers, nodes.training
    if trains_on_gpus(recipe, nodes):
        if workers > nodes.gpus:
            raise ResourceError(
                f"The recipe trains on {workers} GPU(s), one a worker; there are {nodes.gpus} in "
                f"{nodes}.",
                "Add nodes with GPUs (such as 1x96cpu+8h100), or lower training.num_workers.",
            )
    elif train_cpus(recipe) > training.cpus:
        raise ResourceError(
            f"The training workers take {train_cpus(recipe)} CPUs; there are {training.cpus} in {training}.",
            "Add CPUs, or lower training.num_workers or training.cpus_per_worker.",
        )


def train_cpus(recipe: Recipe) -> int:
    """Return the CPUs of all training workers together."""
    return recipe.training.num_workers * recipe.training.cpus_per_worker


@dataclass(frozen=True)
class ClusterPlan:
    """Estimate of a run.

    Attributes:
        extraction: totals of the whole manifest.
        read_per_s: faces per second that a training worker reads from shards.
        measured_bytes: memory of an extraction worker, without Ray's own process.
        clips: folder that was measured instead of the manifest's videos.
        speed: images per second of one training worker.
        training: network, steps and memory.
        notes: assumptions, a sentence each.
    """

    recipe: Recipe
    nodes: Nodes
    extraction: ExtractionTotal
    read_per_s: float
    measured_bytes: int
    speed: Speed
    training: TrainingEstimate
    clips: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def on_gpus(self) -> bool:
        """True if the recipe trains on GPUs of these nodes."""
        return trains_on_gpus(self.recipe, self.nodes)

    @property
    def streams(self) -> bool:
        """True if the first epoch trains while faces are extracted."""
        return self.recipe.batches.stream_first_epoch

    @cached_property
    def extract_workers(self) -> int:
        """Concurrent extraction actors of one CPU each; one CPU is reserved for the driver's tasks."""
        is_shared = self.streams and not self.nodes.has_separate_training
        reserved = 1 + (train_cpus(self.recipe) if is_shared else 0)
        free = max(1, self.nodes.extracting.cpus - reserved)
        return min(self.recipe.cluster.extract_workers or free, free)

    @cached_property
    def extract_s(self) -> Interval:
        """Wall time of extraction in seconds: whole shards, assigned to the actors in turn."""
        videos = sum(dataset.videos for dataset in self.extraction.datasets)
        by_size = self.extraction.stored_bytes.value / (self.recipe.faces.shard_mb * 2**20)
        shards = min(videos, max(math.ceil(by_size), _SHARDS_PER_WORKER * self.extract_workers))
        turns = math.ceil(shards / self.extract_workers)
        return self.extraction.cpu_s * (turns / shards)

    @property
    def images_per_s(self) -> float:
        """Images per second of all training workers together, from written shards."""
        each = min(self.speed.images_per_s, self.read_per_s)
        return each * self.recipe.training.num_workers

    @cached_property
    def epoch_s(self) -> float:
        """Wall time of an epoch over written shards with its validation, seconds."""
        images = self.training.steps_per_epoch * self.recipe.batches.batch_size
        forward = self.extraction.per_epoch["val"] / TRAIN_TO_FORWARD
        return (images + forward) / self.images_per_s

    @property
    def train_s(self) -> float:
        """Wall time of all epochs over written shards, seconds."""
        return self.epoch_s * self.recipe.training.epochs

    @property
    def total_s(self) -> Interval:
        """Wall time from the first video to the last epoch, seconds."""
        extract, epoch, later = self.extract_s, self.epoch_s, self.train_s - self.epoch_s
        bounds = (extract.value, extract.low, extract.high)
        if self.streams:
            return Interval(*(max(seconds, epoch) + later for seconds in bounds))
        return Interval(*(seconds + epoch + later for seconds in bounds))

    @property
    def stored_bytes(self) -> Interval:
        """Storage of the run: faces, two checkpoints (the latest and the best) and the model, bytes.

        A checkpoint holds what is trained, its average and AdamW's two moments.
        """
        counts = self.training.cost.counts
        each = 4 * (4 if self.recipe.training.ema else 3)
        files = 2.0 * each * counts.all_trained + 4.0 * counts.all
        faces = self.extraction.stored_bytes
        return Interval(faces.value + files, faces.low + files, faces.high + files)

    @property
    def extract_memory_bytes(self) -> int:
        """Memory of one extraction worker, bytes."""
        return self.measured_bytes + RAY_WORKER_BYTES

    @property
    def train_memory_bytes(self) -> float:
        """Memory of one training worker on its device, bytes."""
        return self.training.state_bytes + self.training.saved_bytes

    @property
    def streamed_per_cpu_s(self) -> float:
        """Faces per second that one extracting CPU passes to the trainers of a streamed epoch."""
        return self.extraction.per_epoch["train"] / self.extraction.cpu_s.value

    @property
    def cpus_per_worker_fed(self) -> float:
        """Extracting CPUs that feed one training worker in a streamed epoch."""
        return self.speed.images_per_s / self.streamed_per_cpu_s

    def too_small(self) -> list[tuple[NodeGroup, float]]:
        """Return the groups whose nodes lack memory for a worker on each CPU, with the bytes needed."""
        need = {
            group: group.cpus * self.extract_memory_bytes / (1 - OBJECT_STORE_SHARE)
            for group in self.nodes.extracting.groups
        }
        return [
            (group, need[group])
            for group in need
            if group.memory_gib and need[group] > group.memory_gib * 2**30
        ]
