"""Hours, memory, storage and money of a recipe on given nodes, and what holds them up.

Every core is taken to be as fast as the one here, every worker to train as fast as if it were alone, and
the network and the object store to keep up: what is printed says so. Ray's own start is not counted.
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
"""Of a node's memory, what Ray keeps for itself by default."""
RAY_WORKER_BYTES = 250 * 2**20
"""Of Ray's process around an extraction worker, as seen here."""
_SHARDS_PER_WORKER = 4


def require_room(recipe: Recipe, nodes: Nodes) -> None:
    """Make sure that the training workers fit on the nodes.

    Raises:
        ResourceError: they need more GPUs or CPUs than there are.
    """
    workers, there = recipe.training.num_workers, nodes.training
    if trains_on_gpus(recipe, nodes):
        if workers > nodes.gpus:
            raise ResourceError(
                f"The recipe trains on {workers} GPU(s), one a worker; there are {nodes.gpus} in "
                f"{nodes}.",
                "Add nodes with GPUs (such as 1x96cpu+8h100), or lower training.num_workers.",
            )
    elif train_cpus(recipe) > there.cpus:
        raise ResourceError(
            f"The training workers take {train_cpus(recipe)} CPUs; there are {there.cpus} in {there}.",
            "Add CPUs, or lower training.num_workers or training.cpus_per_worker.",
        )


def train_cpus(recipe: Recipe) -> int:
    return recipe.training.num_workers * recipe.training.cpus_per_worker


@dataclass(frozen=True)
class ClusterPlan:
    """A run as it would be.

    Attributes:
        extraction: of the whole manifest.
        read_per_s: faces that a training worker reads back from shards in a second.
        measured_bytes: memory of what an extraction worker runs, Ray's own apart.
        clips: folder that was measured on instead of the manifest's own videos.
        speed: of one training worker.
        training: network, steps and memory.
        notes: what was taken for granted, a sentence each.
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
        return trains_on_gpus(self.recipe, self.nodes)

    @property
    def streams(self) -> bool:
        """Whether the first epoch trains while the faces are found."""
        return self.recipe.batches.stream_first_epoch

    @cached_property
    def extract_workers(self) -> int:
        """Actors at once, one CPU each; one CPU is left to the driver's tasks."""
        shared = self.nodes.extracting.groups == self.nodes.training.groups
        taken = train_cpus(self.recipe) if self.streams and shared else 0
        left = self.nodes.extracting.cpus - 1 - taken
        return min(self.recipe.cluster.extract_workers or max(1, left), max(1, left))

    @cached_property
    def extract_s(self) -> Interval:
        """Wall time of extraction: whole shards, dealt out to the actors in turn."""
        videos = sum(dataset.videos for dataset in self.extraction.datasets)
        by_size = self.extraction.stored_bytes.value / (self.recipe.faces.shard_mb * 2**20)
        shards = min(videos, max(math.ceil(by_size), _SHARDS_PER_WORKER * self.extract_workers))
        turns = math.ceil(shards / self.extract_workers)
        return self.extraction.cpu_s * (turns / shards)

    @property
    def images_per_s(self) -> float:
        """Of all training workers together, from written shards."""
        each = min(self.speed.images_per_s, self.read_per_s)
        return each * self.recipe.training.num_workers

    @cached_property
    def epoch_s(self) -> float:
        """Wall time of an epoch over written shards, with its validation."""
        images = self.training.steps_per_epoch * self.recipe.batches.batch_size
        forward = self.extraction.per_epoch["val"] / TRAIN_TO_FORWARD
        return (images + forward) / self.images_per_s

    @property
    def train_s(self) -> float:
        return self.epoch_s * self.recipe.training.epochs

    @property
    def total_s(self) -> Interval:
        """Wall time from the first video to the last epoch."""
        extract, epoch, rest = self.extract_s, self.epoch_s, self.train_s - self.epoch_s
        if not self.streams:
            return Interval(*(s + epoch + rest for s in (extract.value, extract.low, extract.high)))
        return Interval(*(max(s, epoch) + rest for s in (extract.value, extract.low, extract.high)))

    @property
    def stored_bytes(self) -> Interval:
        """What the run leaves: faces, two checkpoints (the latest and the best) and the model."""
        counts = self.training.cost.counts
        model = 4.0 * counts.all
        state = model * (2 if self.recipe.training.ema else 1) + 8.0 * counts.all_trained
        kept = 2 * (model + state) + model
        faces = self.extraction.stored_bytes
        return Interval(faces.value + kept, faces.low + kept, faces.high + kept)

    @property
    def extract_memory_bytes(self) -> int:
        """Of one extraction worker."""
        return self.measured_bytes + RAY_WORKER_BYTES

    @property
    def train_memory_bytes(self) -> float:
        """Of one training worker, on its device."""
        return self.training.state_bytes + self.training.kept_bytes

    @property
    def streamed_per_cpu_s(self) -> float:
        """Faces that a CPU hands on to the trainers of a streamed epoch in a second."""
        return self.extraction.per_epoch["train"] / self.extraction.cpu_s.value

    @property
    def cpus_per_worker_fed(self) -> float:
        """Extracting CPUs that keep one training worker busy in a streamed epoch."""
        return self.speed.images_per_s / self.streamed_per_cpu_s

    def too_small(self) -> list[tuple[NodeGroup, float]]:
        """The groups whose nodes lack memory for an extraction worker on each CPU, with the bytes."""
        need = {
            group: group.cpus * self.extract_memory_bytes / (1 - OBJECT_STORE_SHARE)
            for group in self.nodes.extracting.groups
        }
        return [
            (group, need[group])
            for group in need
            if group.memory_gib and need[group] > group.memory_gib * 2**30
        ]
