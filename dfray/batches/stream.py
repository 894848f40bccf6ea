"""Batches from a running extraction: the first epoch trains while the CPU workers still extract.

The faces are not counted yet, so quotas follow from the manifest's durations by the same rule as for
written faces. Each video yields at most its quota: the number of planned steps is an upper bound,
and videos without faces make the epoch shorter, never longer. Ray Data's `streaming_split(equal=True)`
gives every worker the same number of rows, so no worker waits for another at the end.

Faces are shuffled in the worker's memory: Ray Data's local shuffle would hold the blocks of the full
buffer in the object store, outside of the limit that it sets itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dfray.batches.choice import quotas
from dfray.batches.labels import BINARY, LabelScheme
from dfray.batches.reader import Batch
from dfray.config import BatchesSection, FacesSection
from dfray.faces.crop_codec import decode_images
from dfray.faces.shard_plan import expected_faces

if TYPE_CHECKING:
    import ray.data


def with_stream_quotas(
    videos: pa.Table, faces: FacesSection, section: BatchesSection
) -> tuple[pa.Table, int]:
    """Return VIDEOS with a `quota` column (0 outside train), and the number of planned steps."""
    train = np.asarray(videos["split"].to_pylist()) == "train"
    quota = np.zeros(videos.num_rows, np.int64)
    quota[train] = quotas(
        np.asarray(videos["dataset"].to_pylist())[train],
        videos["label"].to_numpy()[train],
        expected_faces(videos, faces)[train],
        section.sampling,
    )
    planned = videos.append_column("quota", pa.array(quota.astype(np.int32)))
    return planned, int(quota.sum()) // section.batch_size


class FacesStream:
    """The share of one worker in a stream of FACES; can be iterated once."""

    def __init__(
        self,
        shard: ray.data.DataIterator,
        section: BatchesSection,
        *,
        world_size: int,
        seed: int,
        classes: LabelScheme = BINARY,
    ) -> None:
        self.shard, self.section, self.seed, self.classes = shard, section, seed, classes
        self.batch_size = section.batch_size // world_size

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield batches drawn at random from a pool of the latest extracted faces.

        The pool grows from four batches to `shuffle_faces`, so that the first batch does not wait for a
        full pool. Faces that do not fill a batch at the end are dropped.
        """
        rng = np.random.default_rng([self.seed, epoch])
        largest = max(self.section.shuffle_faces, self.batch_size)
        full = min(4 * self.batch_size, largest)
        pool: list[tuple[np.ndarray, int]] = []
        for table in self.shard.iter_batches(batch_size=None, batch_format="pyarrow"):
            labels = self.classes.index(table).tolist()
            for image, label in zip(decode_images(table), labels, strict=True):
                pool.append((image.copy(), label))  # a view would keep the full block in memory
                if len(pool) == full:
                    yield _draw(pool, self.batch_size, rng)
                    full = min(full + self.batch_size, largest)
        while len(pool) >= self.batch_size:
            yield _draw(pool, self.batch_size, rng)


def _draw(pool: list[tuple[np.ndarray, int]], count: int, rng: np.random.Generator) -> Batch:
    """Remove `count` random faces from the pool, and return them."""
    for last in range(len(pool) - 1, len(pool) - 1 - count, -1):
        drawn = rng.integers(last + 1)
        pool[drawn], pool[last] = pool[last], pool[drawn]
    images, labels = zip(*pool[-count:], strict=True)
    del pool[-count:]
    return Batch(np.stack(images), np.array(labels, np.int64))
