"""What each Ray Train worker runs: epochs of steps, a validation and a checkpoint after each.

Only rank 0 writes. An epoch starts from seeds of its own, so a run that is started again after the last
checkpoint takes the same steps as one that was never stopped. With fewer workers than before it takes the
same batches; what augmentation draws for each face is another.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import ray.train
import torch
import torch.distributed as dist
from torch import nn

from dfray.batches.feed import on_device
from dfray.batches.labels import LabelScheme
from dfray.batches.reader import Batch, FacesReader
from dfray.batches.sample import sample_faces
from dfray.batches.stream import FacesStream
from dfray.config import Recipe
from dfray.errors import TrainingError
from dfray.faces.shards import FacesStore
from dfray.run_folder import RunFolder
from dfray.training.context import RayTrainContext, WorkerContext
from dfray.training.failure import Place, keep_batch
from dfray.training.learner import Learner
from dfray.training.optim import Schedule
from dfray.training.state import seed_epoch
from dfray.training.step import NotFiniteError

if TYPE_CHECKING:
    from ray.actor import ActorHandle

_TELL_EVERY_S = 0.5


def train_worker(config: dict[str, Any]) -> list[dict[str, float]]:
    """Train from the last checkpoint, if there is one, to the last epoch.

    Args:
        config: `recipe` (JSON form), `class_names`, `faces` (URI), `progress` (counting actor or none),
            and with a stream `stream_steps`; `record`, if each epoch is kept.

    Returns:
        The figures of every epoch, those before a restart included.
    """
    root = RunFolder(Recipe.model_validate(config["recipe"])).root
    worker = Worker(config, RayTrainContext(root, config.get("record")))
    with worker.place:
        return worker.run(config.get("stream_steps"))


class Worker:
    """One process of a training run; its arguments are those of `train_worker`."""

    def __init__(self, config: dict[str, Any], context: WorkerContext) -> None:
        recipe = Recipe.model_validate(config["recipe"])
        self.recipe, self.context = recipe, context
        self.classes = LabelScheme(recipe.batches.labels, tuple(config["class_names"]))
        self.progress: ActorHandle | None = config["progress"]
        self.rank, self.world_size = context.rank, context.world_size
        self.place = Place(self.rank, self.world_size, recipe.training.epochs)
        self.folder, self.device = RunFolder(recipe, faces=config["faces"]), context.device
        checkpoint = context.checkpoint()
        self.learner = Learner(
            recipe,
            self.classes,
            self.device,
            resuming=checkpoint is not None,
            sync_statistics=self.world_size > 1 and self.device.type == "cuda",
        )
        self._warn()
        self.history: list[dict[str, float]] = []
        if checkpoint is not None:
            with checkpoint as folder:
                self.history = self.learner.load(Path(folder))
        model = context.prepare(self.learner.detector)
        if recipe.training.compile:  # a wrapper: what is saved and validated is the detector
            model = cast(nn.Module, torch.compile(model))
        self.step = self.learner.step(model)

    def run(self, stream_steps: int | None) -> list[dict[str, float]]:
        store = FacesStore(self.folder.faces)
        if self.history:
            done, epochs = len(self.history), self.recipe.training.epochs
            self._tell({"resumed": [f"training goes on after epoch {done} of {epochs}"]})
        for epoch in range(len(self.history), self.recipe.training.epochs):
            seed_epoch(self.recipe.seed, epoch, self.rank)
            start = time.perf_counter()
            if epoch == 0 and stream_steps is not None:
                batches, steps = self._stream().epoch(0), stream_steps
            else:
                reader = self._reader(store, "train")
                batches, steps = reader.epoch(epoch), reader.steps
            figures = self._train_epoch(epoch, batches, steps)
            figures["seconds"] = time.perf_counter() - start
            figures["workers"] = self.world_size
            figures |= self.learner.objective.end_epoch()
            figures |= self.learner.validate(self._reader(store, "val"))
            figures["ended_at_s"] = time.time()
            self.history.append(figures)
            self._tell({"epoch": epoch + 1, "val_loss": figures["val_loss"]})
            self.context.report(self.learner, self.history)
        return self.history

    def _train_epoch(self, epoch: int, batches: Iterator[Batch], steps: int) -> dict[str, float]:
        """One epoch; returns its figures as means over all workers and steps."""
        take = replace(self.step, schedule=Schedule.of(self.recipe.training, steps))
        sums: dict[str, torch.Tensor] = {}
        taken, told = 0, 0.0
        for taken, (batch, faces, labels, points) in enumerate(on_device(batches, self.device), 1):
            number = epoch * steps + taken - 1
            self.place.move(epoch, taken)
            try:
                terms = take(faces, labels, number, points)
            except NotFiniteError as error:
                raise keep_batch(self.folder, batch, number, self.rank, error) from None
            for name, value in terms.items():
                sums[name] = sums[name] + value if name in sums else value
            if time.monotonic() - told > _TELL_EVERY_S:
                told = time.monotonic()
                loss = float(terms["loss"])
                self._tell({"epoch": epoch, "step": taken, "steps": steps, "loss": loss})
        if not taken:
            raise TrainingError(
                f"Epoch {epoch} had no batch: fewer faces came than a batch of "
                f"{self.recipe.batches.batch_size} needs.",
                "Lower batches.batch_size, or look at the counts of the extraction.",
            )
        means = {f"train_{name}": self._mean(value / taken) for name, value in sums.items()}
        faces_seen = taken * self.recipe.batches.batch_size
        lr = take.schedule.at(epoch * steps + taken - 1)
        return {"epoch": epoch, "steps": taken, "faces": faces_seen, "lr": lr} | means

    def _warn(self) -> None:
        warnings = []
        if self.world_size > 1 and self.device.type == "cpu" and self.learner.has_statistics:
            share = self.recipe.batches.batch_size // self.world_size
            warnings.append(
                f"{self.recipe.model.backbone} has BatchNorm; on CPU workers its "
                f"statistics are of {share} faces each, not of the global batch."
            )
        wanted = self.recipe.training.num_workers
        if self.world_size < wanted:
            warnings.append(f"Nodes are missing: {self.world_size} of {wanted} workers train.")
        told = {"warning": "\n".join(warnings)} if warnings else {}
        self._tell(told | {"waiting": None})

    def _stream(self) -> FacesStream:
        return FacesStream(
            ray.train.get_dataset_shard("faces"),
            self.recipe.batches,
            world_size=self.world_size,
            seed=self.recipe.seed,
            classes=self.classes,
        )

    def _reader(self, store: FacesStore, split: str) -> FacesReader:
        summaries = store.summaries([split])
        return FacesReader(
            store,
            sample_faces(summaries, split, self.recipe.batches, self.classes),
            self.recipe.batches,
            rank=self.rank,
            world_size=self.world_size,
            lanes=self.recipe.training.num_workers,
            seed=self.recipe.seed,
        )

    def _mean(self, value: torch.Tensor) -> float:
        if dist.is_initialized():
            dist.all_reduce(value)
        return float(value) / self.world_size

    def _tell(self, values: dict[str, Any]) -> None:
        if self.rank == 0 and self.progress is not None:
            self.progress.note.remote(values)
