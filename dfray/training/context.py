"""Surroundings of a worker: its rank, its last checkpoint, and the receivers of its metrics."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypedDict

import torch
from torch import nn

from dfray import storage

if TYPE_CHECKING:
    import ray.train

    from dfray.models.bundle import Bundle
    from dfray.training.learner import Learner

EpochMetrics = dict[str, float]
"""Of one epoch: `epoch` (from 0), `lr`, `steps`, `seconds`, `train_*`, `val_*`, `selection_loss`, ..."""
History = list[EpochMetrics]
"""All epochs of a run, in order."""


class TrainingStatus(TypedDict, total=False):
    """Latest values that a run's workers, policy and driver report to the progress actor.

    Attributes:
        epoch: epochs finished.
        step, steps: of the epoch in progress; steps is their number.
        streamed: the extraction that fed the first epoch has ended.
        loss, val_loss: of the last step and of the last validation.
        model, resumed: lines about the model's start, and about a resumed run.
        warning: lines for the end of the run.
        waiting: the reason why no worker runs; None: they run.
    """

    epoch: int
    step: int
    steps: int
    streamed: bool
    loss: float
    val_loss: float
    model: list[str]
    resumed: list[str]
    warning: str
    waiting: str | None


class EpochRecord(Protocol):
    """Receiver of each epoch's model, in addition to the checkpoints; pickled to rank 0, called there."""

    def keep(self, bundle: Bundle, history: History) -> None:
        """Store what it needs of the last epoch's model."""


class WorkerContext(Protocol):
    """One worker's surroundings.

    Attributes:
        rank: of this worker, from 0.
        world_size: number of workers.
    """

    rank: int
    world_size: int
    device: torch.device

    def checkpoint(self) -> AbstractContextManager[str] | None:
        """Return a context of the last checkpoint's local folder, or None without a checkpoint."""

    def prepare(self, model: nn.Module) -> nn.Module:
        """Return the model to train, such as in a DistributedDataParallel wrapper."""

    def report(self, learner: Learner, history: History) -> None:
        """Save a checkpoint and report the metrics of the last epoch; wait for all workers."""


class RayTrainContext:
    """A worker of a Ray Train run.

    Args:
        root: the run's folder, under which Ray Train writes checkpoints.
    """

    def __init__(self, root: str, record: EpochRecord | None = None) -> None:
        import ray.train
        import ray.train.torch

        context = ray.train.get_context()
        self.rank, self.world_size = context.get_world_rank(), context.get_world_size()
        self.device: torch.device = ray.train.torch.get_device()
        self.root, self.record = root, record

    def checkpoint(self) -> AbstractContextManager[str] | None:
        import ray.train

        checkpoint = ray.train.get_checkpoint()
        folder: AbstractContextManager[str] | None = checkpoint and checkpoint.as_directory()
        return folder

    def prepare(self, model: nn.Module) -> nn.Module:
        import ray.train.torch

        prepared: nn.Module = ray.train.torch.prepare_model(model)
        return prepared

    def report(self, learner: Learner, history: History) -> None:
        import ray.train

        metrics = history[-1]
        with storage.temporary_folder() as folder:
            checkpoint = None
            learner.save(Path(folder) if self.rank == 0 else None, history)
            if self.rank == 0:
                if self.record:
                    self.record.keep(learner.bundle(), history)
                checkpoint = ray.train.Checkpoint.from_directory(folder)
            ray.train.report(
                metrics,
                checkpoint=checkpoint,
                checkpoint_dir_name=f"epoch-{int(metrics['epoch']):03d}",
                checkpoint_upload_fn=self._upload,
            )

    def _upload(self, checkpoint: ray.train.Checkpoint, name: str) -> ray.train.Checkpoint:
        """Upload a checkpoint; Ray Train's upload misses a store's error at the close of a file."""
        import ray.train

        uri = storage.join(self.root, "train", name)
        storage.put_tree(checkpoint.path, uri)
        fs, path = storage.arrow_filesystem(uri)
        return ray.train.Checkpoint(path, fs)
