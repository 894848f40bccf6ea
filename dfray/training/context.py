"""What is around a worker: its place among others, what it goes on from, and who hears of each epoch."""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import nn

from dfray import storage

if TYPE_CHECKING:
    import ray.train

    from dfray.training.learner import Learner

History = list[dict[str, float]]


class EpochRecord(Protocol):
    """What keeps each epoch beside the checkpoints; told on rank 0, and pickled to it."""

    def keep(self, saved: Path, history: History) -> None:
        """Keep what it wants of the local folder that `Learner.save` wrote."""


class WorkerContext(Protocol):
    """One worker's surroundings.

    Attributes:
        rank, world_size: which of how many workers this is.
    """

    rank: int
    world_size: int
    device: torch.device

    def checkpoint(self) -> AbstractContextManager[str] | None:
        """The local folder of the last checkpoint, for as long as the block lasts, if there is one."""

    def prepare(self, model: nn.Module) -> nn.Module:
        """The model as it is trained here, such as in a DistributedDataParallel wrapper."""

    def report(self, learner: Learner, history: History) -> None:
        """Keep a checkpoint and tell the figures of the last epoch; waits for all workers."""


class RayTrainContext:
    """A worker of a Ray Train run.

    Args:
        root: the run's folder, under which Ray Train keeps checkpoints.
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

        found = ray.train.get_checkpoint()
        return found and found.as_directory()

    def prepare(self, model: nn.Module) -> nn.Module:
        import ray.train.torch

        return ray.train.torch.prepare_model(model)

    def report(self, learner: Learner, history: History) -> None:
        import ray.train

        figures = history[-1]
        with tempfile.TemporaryDirectory(prefix="dfray-checkpoint-") as folder:
            checkpoint = None
            if self.rank == 0:
                learner.save(Path(folder), history)
                if self.record:
                    self.record.keep(Path(folder), history)
                checkpoint = ray.train.Checkpoint.from_directory(folder)
            ray.train.report(
                figures,
                checkpoint=checkpoint,
                checkpoint_dir_name=f"epoch-{int(figures['epoch']):03d}",
                checkpoint_upload_fn=self._upload,
            )

    def _upload(self, checkpoint: ray.train.Checkpoint, name: str) -> ray.train.Checkpoint:
        """Ray Train's own upload does not notice that a store refuses a file which is closed."""
        import ray.train

        uri = storage.join(self.root, "train", name)
        storage.put_tree(checkpoint.path, uri)
        fs, path = storage.arrow_filesystem(uri)
        return ray.train.Checkpoint(path, fs)
