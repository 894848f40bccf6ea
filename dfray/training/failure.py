"""What a failed training run says: which worker, in which epoch and step, why, and what to do.

A worker that fails takes the others down with it, as they wait for its gradients. What they then say of
their connections is not the cause.
"""

from __future__ import annotations

import io
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from dfray import storage
from dfray.batches.reader import Batch
from dfray.errors import DfrayError, StorageError, TrainingError, first_line, root_error
from dfray.run_folder import RunFolder
from dfray.training.step import NotFiniteError

if TYPE_CHECKING:
    from ray.actor import ActorHandle

_GO_ON = "Start it again to go on after the last epoch; --verbose shows the workers' output."
_DIED = (
    "It may have run out of memory, or its node was lost. Start it again to go on after the last "
    "epoch; training.max_failures lets it do so by itself."
)
_OF_OTHERS = ("gloo", "Connection closed by peer", "NCCL", "Connection reset by peer")


class Place:
    """Where a worker is; what it raises inside `with place:` tells so.

    Args:
        rank: of the worker.
        workers: how many there are.
        epochs: of the run.
    """

    def __init__(self, rank: int, workers: int, epochs: int) -> None:
        self.worker, self.epochs = f"worker {rank} of {workers}", epochs
        self.epoch: int | None = None
        self.step = 0

    def move(self, epoch: int, step: int) -> None:
        """To the step (from 1) of the epoch (from 0)."""
        self.epoch, self.step = epoch, step

    def __str__(self) -> str:
        if self.epoch is None:
            return f"{self.worker}, before its first step"
        return f"{self.worker}, epoch {self.epoch + 1} of {self.epochs}, step {self.step}"

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if isinstance(error, DfrayError):
            same = error.at(str(self)).with_traceback(error.__traceback__)
            raise same from error.__cause__
        if isinstance(error, Exception) and not _is_of_others(error):
            raise TrainingError(f"{self}: {first_line(error)}.", _GO_ON) from error


def reached(progress: ActorHandle) -> dict[str, Any]:
    """What the workers told last; nothing if it is lost too."""
    import ray

    try:
        return ray.get(progress.get.remote(), timeout=10)
    except ray.exceptions.RayError:
        return {}


def explain_failure(error: BaseException, told: dict[str, Any], epochs: int) -> DfrayError:
    """The error to raise for what Ray Train raised: that of the worker that failed by itself.

    Args:
        told: what the workers told last: `epoch` (finished), `step`.
        epochs: of the run.
    """
    failures: dict[int, BaseException] = getattr(error, "worker_failures", None) or {}
    causes = {rank: root_error(failure) for rank, failure in failures.items()}
    for cause in [*causes.values(), root_error(error)]:
        if isinstance(cause, DfrayError):
            return cause
    if not causes:
        return TrainingError(f"Training failed: {first_line(root_error(error))}.", _GO_ON)
    rank = next((rank for rank, cause in causes.items() if not _is_of_others(cause)), min(causes))
    where = f"worker {rank}"
    if "epoch" in told:
        epoch = min(told["epoch"] + 1, epochs)
        where += f", epoch {epoch} of {epochs}, about step {told.get('step', 0)}"
    return TrainingError(f"{where}: {first_line(causes[rank])}.", _DIED)


def _is_of_others(error: BaseException) -> bool:
    return any(word in str(error) for word in _OF_OTHERS)


def keep_batch(
    folder: RunFolder, batch: Batch, step: int, rank: int, error: NotFiniteError
) -> TrainingError:
    """Write this worker's share of the batch, and return the error to raise, which names the file.

    The file is a NumPy .npz, readable without pickle: `images` uint8 (B, S, S, 3) as read, before any
    blending or augmentation; `labels` int64 (B,); `landmarks` float32 (B, 468, 2), where the batch has
    them; `step`, `rank`; the objective's terms as `term_NAME`.
    """
    uri = storage.join(folder.not_finite, f"step-{step:06d}-worker-{rank}.npz")
    arrays: dict[str, Any] = {"images": batch.images, "labels": batch.labels}
    arrays |= {} if batch.landmarks is None else {"landmarks": batch.landmarks}
    arrays |= {"step": step, "rank": rank}
    arrays |= {f"term_{name}": value for name, value in error.terms.items()}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    try:
        storage.write_bytes(content.getvalue(), uri)
    except StorageError as failure:
        return TrainingError(f"{error.message} Its batch is lost: {failure.message}", error.hint)
    return TrainingError(f"{error.message} Its batch is kept in {uri}.", error.hint)
