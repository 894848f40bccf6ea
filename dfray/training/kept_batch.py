"""The batch of a step that failed, kept as a file for study."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from dfray import storage
from dfray.batches.reader import Batch
from dfray.errors import StorageError, TrainingError
from dfray.run_folder import RunFolder
from dfray.training.step import NotFiniteError


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
        return TrainingError(f"{error.message} Its batch is lost: {failure.message}", error.mend)
    return TrainingError(f"{error.message} Its batch is kept in {uri}.", error.mend)
