"""Failed training steps: the error that is reported, and the batch that is saved.

The error names the worker, epoch, step, cause and remedy. A worker that fails takes the others down with
it, as they wait for its gradients; their errors of lost connections are not the cause.
"""

from __future__ import annotations

import io
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from dfray import storage
from dfray.batches.reader import Batch
from dfray.errors import (
    DfrayError,
    NoSpaceError,
    StorageError,
    TrainingError,
    first_line,
    root_error,
)
from dfray.run_folder import RunFolder
from dfray.storage.faults import FULL_HINT, is_full
from dfray.training.context import TrainingStatus
from dfray.training.finite import NotFiniteError

if TYPE_CHECKING:
    from ray.actor import ActorHandle

_RESUME = "Start it again to resume after the last epoch; --verbose shows the workers' output."
_DIED = (
    "It may have run out of memory, or its node was lost. Start it again to resume after the last "
    "epoch; training.max_failures restarts it automatically."
)
_LOST_CONNECTION = ("gloo", "Connection closed by peer", "NCCL", "Connection reset by peer")


class WorkerPosition:
    """Rank, epoch and step of a worker; errors raised inside `with position:` state them.

    Args:
        rank: of the worker.
        workers: their number.
        epochs: of the run.
    """

    def __init__(self, rank: int, workers: int, epochs: int) -> None:
        self.worker, self.epochs = f"worker {rank} of {workers}", epochs
        self.epoch: int | None = None
        self.step = 0

    def move(self, epoch: int, step: int) -> None:
        """Set the step (from 1) of the epoch (from 0)."""
        self.epoch, self.step = epoch, step

    def __str__(self) -> str:
        if self.epoch is None:
            return f"{self.worker}, before its first step"
        return f"{self.worker}, epoch {self.epoch + 1} of {self.epochs}, step {self.step}"

    def __enter__(self) -> WorkerPosition:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if isinstance(error, DfrayError):
            located = error.at(str(self)).with_traceback(error.__traceback__)
            raise located from error.__cause__
        if isinstance(error, Exception) and is_full(error):
            raise NoSpaceError(f"{self}: {first_line(error)}.", FULL_HINT) from error
        if isinstance(error, Exception) and not _is_lost_connection(error):
            raise TrainingError(f"{self}: {first_line(error)}.", _RESUME) from error


def last_status(progress: ActorHandle) -> TrainingStatus:
    """Return the last values that the workers reported; none if the progress actor is lost too."""
    import ray

    try:
        return cast(TrainingStatus, ray.get(progress.get.remote(), timeout=10))
    except ray.exceptions.RayError:
        return {}


def explain_failure(error: BaseException, status: TrainingStatus, epochs: int) -> DfrayError:
    """Return the error to raise for Ray Train's: the error of the worker that failed first.

    Args:
        status: the last values that the workers reported.
        epochs: of the run.
    """
    failures: dict[int, BaseException] = getattr(error, "worker_failures", None) or {}
    causes = {rank: root_error(failure) for rank, failure in failures.items()}
    for cause in [*causes.values(), root_error(error)]:
        if isinstance(cause, DfrayError):
            return cause
    if not causes:
        return TrainingError(f"Training failed: {first_line(root_error(error))}.", _RESUME)
    first_causes = (rank for rank, cause in causes.items() if not _is_lost_connection(cause))
    rank = next(first_causes, min(causes))
    position = f"worker {rank}"
    if "epoch" in status:
        epoch = min(status["epoch"] + 1, epochs)
        position += f", epoch {epoch} of {epochs}, about step {status.get('step', 0)}"
    return TrainingError(f"{position}: {first_line(causes[rank])}.", _DIED)


def controller_died() -> TrainingError:
    """Return the error of a training whose controller has died; Ray Train starts no other."""
    return TrainingError(
        "Ray Train's controller of the training has died; it may have run out of memory, or its node was "
        "lost.",
        "Start it again to resume after the last epoch.",
    )


def _is_lost_connection(error: BaseException) -> bool:
    return any(text in str(error) for text in _LOST_CONNECTION)


def save_batch(
    folder: RunFolder, batch: Batch, step: int, rank: int, error: NotFiniteError
) -> TrainingError:
    """Write this worker's share of the batch, and return the error to raise, which names the file.

    The file is a NumPy .npz, readable without pickle: `images` uint8 (B, S, S, 3) as read, before any
    blending or augmentation; `labels` int64 (B,); `landmarks` float32 (B, 468, 2), if the batch has
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
        message = f"{error.message} Its batch could not be saved: {failure.message}"
        return TrainingError(message, error.hint)
    return TrainingError(f"{error.message} Its batch is saved in {uri}.", error.hint)
