"""Batches from written faces, read in each training worker straight from the Parquet shards.

Ray Data costs tens of seconds before the first batch of every execution; a row group read by pyarrow costs
milliseconds, so thirty epochs over a cache read it directly. Each epoch permutes the row groups, gives
every worker an equal, contiguous share of the chosen rows, and shuffles them in windows of up to
`shuffle_faces`. The next window is read by a thread while this one trains.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dfray import storage
from dfray.batches.sample import Sample, require_batch
from dfray.config import BatchesSection
from dfray.faces.shards import ROW_GROUP, FacesStore, decode_images, open_shard

_COLUMNS = ["image", "encoding", "size_px"]


@dataclass(frozen=True)
class Batch:
    """`images` uint8 (B, S, S, 3) RGB, `labels` int64 (B,)."""

    images: np.ndarray
    labels: np.ndarray


class FacesReader:
    """The share of one worker in a sample of written faces.

    Args:
        rank, world_size: which of how many workers this is.
    """

    def __init__(
        self,
        store: FacesStore,
        sample: Sample,
        section: BatchesSection,
        *,
        rank: int = 0,
        world_size: int = 1,
        seed: int = 0,
    ) -> None:
        self.store, self.sample, self.section = store, sample, section
        self.rank, self.world_size, self.seed = rank, world_size, seed
        self.batch_size = section.batch_size // world_size
        self.steps = len(sample) // section.batch_size
        self._files: dict[int, pq.ParquetFile] = {}

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """`steps` batches of `batch_size` faces, in an order of (seed, epoch) alone.

        Raises:
            ManifestError: the sample is smaller than one global batch.
        """
        require_batch(self.sample, self.section)
        rng = np.random.default_rng([self.seed, epoch])
        order = self._by_permuted_groups(rng)
        count = self.steps * self.batch_size
        share = order[self.rank * count : (self.rank + 1) * count]
        windows = [rng.permutation(window) for window in np.split(share, self._cuts(len(share)))]
        for window, images in zip(windows, self._prefetched(windows), strict=True):
            labels = self.sample.label[window]
            for start in range(0, len(window), self.batch_size):
                batch = slice(start, start + self.batch_size)
                yield Batch(images[batch], labels[batch])

    def in_order(self) -> Iterator[Batch]:
        """This worker's share of all chosen faces, once; the shares of all workers, rank after rank,
        are one order that depends on the seed alone. The last batch may be short."""
        order = self._by_permuted_groups(np.random.default_rng(self.seed))
        share = np.array_split(order, self.world_size)[self.rank]
        windows = np.split(share, range(self.batch_size, len(share), self.batch_size))
        for window, images in zip(windows, self._prefetched(windows), strict=True):
            yield Batch(images, self.sample.label[window])

    def _cuts(self, count: int) -> list[int]:
        """Where a share is cut into windows; they double from four batches up to `shuffle_faces`,
        so that the first batch does not wait for a whole buffer."""
        largest = max(1, self.section.shuffle_faces // self.batch_size) * self.batch_size
        cuts, size = [], min(4 * self.batch_size, largest)
        place = size
        while place < count:
            cuts.append(place)
            size = min(2 * size, largest)
            place += size
        return cuts

    def _by_permuted_groups(self, rng: np.random.Generator) -> np.ndarray:
        """Indices into the sample, row groups in random order, rows of a group together."""
        group = self.sample.shard.astype(np.int64) << 32 | self.sample.row // ROW_GROUP
        _, index = np.unique(group, return_inverse=True)
        place = rng.permutation(index.max() + 1)
        return np.argsort(place[index], kind="stable")

    def _prefetched(self, windows: list[np.ndarray]) -> Iterator[np.ndarray]:
        """The images of each window, one window read ahead."""
        with ThreadPoolExecutor(1) as thread:
            ahead = thread.submit(self._read, windows[0])
            for following in [*windows[1:], None]:
                images = ahead.result()
                if following is not None:
                    ahead = thread.submit(self._read, following)
                yield images

    def _read(self, window: np.ndarray) -> np.ndarray:
        """The images of the chosen rows, in the order of `window`: uint8 (N, S, S, 3)."""
        images: np.ndarray | None = None
        group = self.sample.row[window] // ROW_GROUP
        shard = self.sample.shard[window]
        for key in np.unique(np.stack([shard, group]), axis=1).T.tolist():
            places = np.flatnonzero((shard == key[0]) & (group == key[1]))
            found = decode_images(self._row_group(*key))
            if images is None:
                images = np.empty((len(window), *found.shape[1:]), np.uint8)
            rows = self.sample.row[window[places]] - key[1] * ROW_GROUP
            for place, row in zip(places, rows, strict=True):
                images[place] = found[row]  # one copy; numpy's fancy indexing makes two
        assert images is not None, "a window is never empty"
        return images

    def _row_group(self, shard: int, group: int) -> pa.Table:
        uri = self.store.shard_uri(self.sample.shards[shard])
        if shard not in self._files:
            self._files[shard] = open_shard(uri)
        file = self._files[shard]
        return storage.attempt(
            lambda: file.read_row_group(group, columns=_COLUMNS, use_threads=False), uri, "read"
        )
