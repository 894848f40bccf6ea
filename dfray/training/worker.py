"""One process of a Ray Train run: epochs of steps, a validation and a checkpoint after each.

Only rank 0 writes. Each epoch has seeds of its own, so a run resumed from the last checkpoint takes the
same steps as one that was never stopped. With fewer workers than before the batches are the same, and the
random draws of augmentation differ.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import ray.train
import torch
import torch.distributed as dist

from dfray.batches.feed import on_device
from dfray.batches.labels import LabelScheme
from dfray.batches.reader import Batch, FacesReader
from dfray.batches.sample import sample_faces
from dfray.batches.stream import FacesStream
from dfray.errors import TrainingError
from dfray.training.context import (
    EpochMetrics,
    History,
    RayTrainContext,
    TrainingStatus,
    WorkerContext,
)
from dfray.training.failure import WorkerPosition, save_batch
from dfray.training.finite import GPU_LAG, NotFiniteError
from dfray.training.learner import Learner
from dfray.training.optim import Schedule
from dfray.training.state import seed_epoch
from dfray.training.worker_config import WorkerConfig

_REPORT_EVERY_S = 0.5


def train_worker(loop_config: Mapping[str, WorkerConfig]) -> History:
    """Train from the last checkpoint, if there is one, to the last epoch.

    Args:
        loop_config: Ray Train's dictionary, with the WorkerConfig under `config`.

    Returns:
        The metrics of every epoch, those before a restart included.
    """
    config = loop_config["config"]
    worker = Worker(config, RayTrainContext(config.folder.root, config.record))
    with worker.position:
        return worker.run()


class Worker:
    """One process of a training run."""

    def __init__(self, config: WorkerConfig, context: WorkerContext) -> None:
        recipe = config.recipe
        self.config, self.recipe, self.context = config, recipe, context
        self.classes = LabelScheme(recipe.batches.labels, config.class_names)
        self.rank, self.world_size = context.rank, context.world_size
        self.position = WorkerPosition(self.rank, self.world_size, recipe.training.epochs)
        self.folder, self.device = config.folder, context.device
        self.faces = config.open_faces()
        checkpoint = context.checkpoint()
        sharded = recipe.training.parallelism == "fsdp" and self.world_size > 1
        self.learner = Learner(
            recipe,
            self.classes,
            self.device,
            resuming=checkpoint is not None,
            sync_statistics=self.world_size > 1 and self.device.type == "cuda",
            sharded=sharded,
            faces_version=self.faces.version,
        )
        self._report_warnings()
        self.history: History = []
        if checkpoint is not None:
            with checkpoint as folder:
                self.history = self.learner.load(Path(folder))
        detector = self.learner.detector
        self.step = self.learner.step(detector if sharded else context.prepare(detector))

    def run(self) -> History:
        """Train and validate the epochs that are left; return the metrics of all."""
        if self.history:
            done, epochs = len(self.history), self.recipe.training.epochs
            self._report({"resumed": [f"training resumes after epoch {done} of {epochs}"]})
        for epoch in range(len(self.history), self.recipe.training.epochs):
            seed_epoch(self.recipe.seed, epoch, self.rank)
            start = time.perf_counter()
            metrics = self._train_epoch(epoch, *self._batches(epoch))
            self._report({"streamed": True})
            metrics["seconds"] = time.perf_counter() - start
            metrics["workers"] = self.world_size
            metrics["gpus"] = self.world_size if self.device.type == "cuda" else 0
            metrics |= self.learner.objective.end_epoch()
            metrics |= self.learner.validate(self._reader("val"))
            metrics["ended_at_s"] = time.time()
            self.history.append(metrics)
            self._report({"epoch": epoch + 1, "val_loss": metrics["val_loss"]})
            self.context.report(self.learner, self.history)
            if epoch == 0 and self.config.stream_steps is not None and self.config.check_streamed:
                self.config.check_streamed(self.config.open_faces())
        return self.history

    def _batches(self, epoch: int) -> tuple[Iterator[Batch], int]:
        """Return the batches of an epoch and their number, an upper bound for a stream."""
        if epoch == 0 and self.config.stream_steps is not None:
            return self._stream().epoch(0), self.config.stream_steps
        reader = self._reader("train")
        return reader.epoch(epoch), reader.steps

    def _train_epoch(self, epoch: int, batches: Iterator[Batch], steps: int) -> EpochMetrics:
        """Train one epoch; return its metrics as means over all workers and steps."""
        take_step = replace(self.step, schedule=Schedule.of(self.recipe.training, steps))
        sums: dict[str, torch.Tensor] = {}
        done, reported_s = 0, 0.0
        recent: deque[Batch] = deque(maxlen=GPU_LAG + 1)
        with self._telling(recent, epoch, steps):
            for batch, faces, labels, points in on_device(batches, self.device):
                done += 1
                recent.append(batch)
                self.position.move(epoch, done)
                terms = take_step(faces, labels, epoch * steps + done - 1, points)
                for name, value in terms.items():
                    sums[name] = sums[name] + value if name in sums else value
                if time.monotonic() - reported_s > _REPORT_EVERY_S:
                    reported_s = time.monotonic()
                    loss = float(terms["loss"])
                    self._report({"epoch": epoch, "step": done, "steps": steps, "loss": loss})
            take_step.guard.settle()
        if not done:
            raise TrainingError(
                f"Epoch {epoch} had no batch: fewer faces came than a batch of "
                f"{self.recipe.batches.batch_size} needs.",
                "Lower batches.batch_size, or look at the counts of the extraction.",
            )
        means = {f"train_{name}": self._mean(value / done) for name, value in sums.items()}
        n_faces = done * self.recipe.batches.batch_size
        lr = take_step.schedule.at(epoch * steps + done - 1)
        return {"epoch": epoch, "steps": done, "faces": n_faces, "lr": lr} | means

    @contextmanager
    def _telling(self, recent: deque[Batch], epoch: int, steps: int) -> Iterator[None]:
        """Save the batch of a step whose loss is not finite, and name that step.

        Args:
            recent: the last batches, that of the step in progress last.
            steps: of an epoch.
        """
        try:
            yield
        except NotFiniteError as error:
            failed = error.step - epoch * steps + 1
            batch = recent[failed - self.position.step - 1]
            self.position.move(epoch, failed)
            raise save_batch(self.folder, batch, error.step, self.rank, error) from None

    def _report_warnings(self) -> None:
        warnings = []
        if self.world_size > 1 and self.device.type == "cpu" and self.learner.has_statistics:
            share = self.recipe.batches.batch_size // self.world_size
            warnings.append(
                f"{self.recipe.model.backbone} has BatchNorm; on CPU workers its "
                f"statistics are of {share} faces each, not of the global batch."
            )
        num_workers = self.recipe.training.num_workers
        if self.world_size < num_workers:
            warnings.append(f"Nodes are missing: {self.world_size} of {num_workers} workers train.")
        status: TrainingStatus = {"waiting": None}
        if warnings:
            status["warning"] = "\n".join(warnings)
        self._report(status)

    def _stream(self) -> FacesStream:
        return FacesStream(
            ray.train.get_dataset_shard("faces"),
            self.recipe.batches,
            world_size=self.world_size,
            seed=self.recipe.seed,
            classes=self.classes,
        )

    def _reader(self, split: str) -> FacesReader:
        summaries = self.faces.summaries([split])
        return FacesReader(
            self.faces,
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

    def _report(self, status: TrainingStatus) -> None:
        if self.rank == 0 and self.config.progress is not None:
            self.config.progress.note.remote(status)
