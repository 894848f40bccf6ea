"""What each Ray Train worker runs: epochs of steps, a validation and a checkpoint after each.

Only rank 0 writes. An epoch starts from seeds of its own, so a run that is started again after the last
checkpoint takes the same steps as one that was never stopped.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import ray.train
import ray.train.torch
import torch
import torch.distributed as dist
from torch import nn

from dfray.batches.augment import Augment, mixer
from dfray.batches.feed import on_device
from dfray.batches.labels import LabelScheme
from dfray.batches.reader import Batch, FacesReader
from dfray.batches.sample import sample_faces
from dfray.batches.self_blend import SelfBlend
from dfray.batches.stream import FacesStream
from dfray.config import Recipe
from dfray.errors import TrainingError
from dfray.faces.shards import FacesStore
from dfray.losses.objective import Objective
from dfray.models.backbone import Detector, build_detector
from dfray.models.bundle import Bundle
from dfray.models.preprocess import Preprocess
from dfray.run_folder import RunFolder
from dfray.training.kept_batch import keep_batch
from dfray.training.optim import Schedule, build_average, build_optimizer
from dfray.training.state import load_state, save_state, seed_epoch
from dfray.training.step import NotFiniteError, TrainStep, compute_dtype
from dfray.training.validate import validate

if TYPE_CHECKING:
    from ray.actor import ActorHandle

_TELL_EVERY_S = 0.5


def train_worker(config: dict[str, Any]) -> list[dict[str, float]]:
    """Train from the last checkpoint, if there is one, to the last epoch.

    Args:
        config: `recipe` (JSON form), `class_names`, `progress` (counting actor), and with a stream
            `stream_steps`.

    Returns:
        The figures of every epoch, those before a restart included.
    """
    recipe = Recipe.model_validate(config["recipe"])
    classes = LabelScheme(recipe.batches.labels, tuple(config["class_names"]))
    return Worker(recipe, classes, config["progress"]).run(config.get("stream_steps"))


class Worker:
    """One process of a training run."""

    def __init__(self, recipe: Recipe, classes: LabelScheme, progress: ActorHandle) -> None:
        context = ray.train.get_context()
        self.recipe, self.classes, self.progress = recipe, classes, progress
        self.rank, self.world_size = context.get_world_rank(), context.get_world_size()
        self.folder, self.device = RunFolder(recipe), ray.train.torch.get_device()
        torch.manual_seed(recipe.seed)
        self.detector = self._build()
        self.preprocess = Preprocess(recipe.model).to(self.device)
        self.objective = Objective(
            recipe.objective,
            num_classes=len(classes.class_names),
            embedding_dim=self.detector.embedding_dim,
        ).to(self.device)
        self.optimizer = build_optimizer(self.detector, recipe.training)
        for group in self.objective.parameter_groups():
            self.optimizer.add_param_group(group)
        self.average = build_average(self.detector, recipe.training)
        self.judged = self.average.module if self.average else self.detector
        self.history = self._restore()
        model: nn.Module = ray.train.torch.prepare_model(self.detector)
        if recipe.training.compile:  # a wrapper: what is saved and validated is the detector
            model = cast(nn.Module, torch.compile(model))
        self.step = TrainStep(
            model=model,
            augment=Augment(recipe.augment, self.preprocess),
            objective=self.objective,
            optimizer=self.optimizer,
            schedule=Schedule.of(recipe.training, 1),
            clip_norm=recipe.training.clip_norm,
            head=self.detector.backbone.get_classifier(),
            blend=SelfBlend(recipe.batches.self_blend) if recipe.batches.self_blend else None,
            mix=mixer(recipe.augment, len(classes.class_names)),
            accumulate=recipe.training.accumulate,
            average=self.average,
            dtype=compute_dtype(recipe.training.precision, self.device),
        )

    def run(self, stream_steps: int | None) -> list[dict[str, float]]:
        store = FacesStore(self.folder.faces)
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
            figures |= self.objective.end_epoch()
            validation = validate(
                self.judged,
                self.preprocess,
                self.objective,
                self._reader(store, "val"),
                self.device,
                self.step.blend,
                batch_size=self.recipe.batches.batch_size // self.recipe.training.accumulate,
                dtype=self.step.dtype,
            )
            figures |= {f"val_{name}": value for name, value in validation.items()}
            selected = "loss" if self.recipe.training.selection == "objective" else "cross_entropy"
            figures["selection_loss"] = validation[selected]
            self.history.append(figures)
            self._tell({"epoch": epoch + 1, "val_loss": validation["loss"]})
            self._report(figures)
        return self.history

    def _train_epoch(self, epoch: int, batches: Iterator[Batch], steps: int) -> dict[str, float]:
        """One epoch; returns its figures as means over all workers and steps."""
        take = replace(self.step, schedule=Schedule.of(self.recipe.training, steps))
        sums: dict[str, torch.Tensor] = {}
        taken, told = 0, 0.0
        for taken, (batch, faces, labels, points) in enumerate(on_device(batches, self.device), 1):
            number = epoch * steps + taken - 1
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

    def _build(self) -> Detector:
        section, classes = self.recipe.model, len(self.classes.class_names)
        if ray.train.get_checkpoint() is not None:
            section = section.without_weights()  # the checkpoint holds what became of them
        detector = build_detector(section, classes).to(self.device)
        has_statistics = any(
            isinstance(m, nn.modules.batchnorm._BatchNorm) for m in detector.modules()
        )
        if has_statistics and self.world_size > 1:
            if self.device.type == "cuda":
                return nn.SyncBatchNorm.convert_sync_batchnorm(detector)
            self._tell(
                {
                    "warning": f"{self.recipe.model.backbone} has BatchNorm; on CPU workers its "
                    f"statistics are of {self.recipe.batches.batch_size // self.world_size} faces "
                    "each, not of the global batch."
                }
            )
        return detector

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
            seed=self.recipe.seed,
        )

    def _restore(self) -> list[dict[str, float]]:
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return []
        with checkpoint.as_directory() as folder:
            progress = load_state(
                Path(folder) / "state.pt",
                self.detector,
                self.optimizer,
                self.objective,
                self.average and self.average.module,
            )
        return progress["history"]

    def _report(self, figures: dict[str, float]) -> None:
        """Hand figures to the driver, and from rank 0 the checkpoint; waits for all workers."""
        with tempfile.TemporaryDirectory(prefix="dfray-checkpoint-") as folder:
            checkpoint = None
            if self.rank == 0:
                self._bundle().save(Path(folder) / "bundle")
                save_state(
                    Path(folder) / "state.pt",
                    self.detector,
                    self.optimizer,
                    {"history": self.history},
                    self.objective,
                    self.average and self.average.module,
                )
                checkpoint = ray.train.Checkpoint.from_directory(folder)
            ray.train.report(
                figures,
                checkpoint=checkpoint,
                checkpoint_dir_name=f"epoch-{int(figures['epoch']):03d}",
            )

    def _bundle(self) -> Bundle:
        return Bundle(
            detector=self.judged,
            preprocess=self.preprocess,
            recipe=self.recipe.model_dump(mode="json"),
            class_names=self.classes.class_names,
            threshold=self.recipe.evaluation.fixed_threshold,
            faces=self.recipe.faces.model_dump(mode="json"),
        )

    def _mean(self, value: torch.Tensor) -> float:
        if dist.is_initialized():
            dist.all_reduce(value)
        return float(value) / self.world_size

    def _tell(self, values: dict[str, Any]) -> None:
        if self.rank == 0:
            self.progress.note.remote(values)
