"""Batches from written faces, read in each training worker straight from the Parquet shards.

Ray Data costs tens of seconds before the first batch of every execution; a row group read by pyarrow costs
milliseconds, so thirty epochs over a cache read it directly. Each epoch permutes the row groups, cuts the
chosen rows into equal, contiguous lanes, one for each worker of a full group, and shuffles each in windows
of up to `shuffle_faces`. The next window is read by a thread while this one trains.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dfray import storage
from dfray.batches.sample import Sample, require_batch
from dfray.config import BatchesSection
from dfray.errors import ManifestError
from dfray.faces.crop_codec import decode_images, decode_landmarks
from dfray.faces.landmarks import POINTS
from dfray.faces.shards import ROW_GROUP, FacesStore, open_shard

_COLUMNS = ["image", "encoding", "size_px"]


@dataclass(frozen=True)
class Batch:
    """`images` uint8 (B, S, S, 3) RGB, `labels` int64 (B,).

    `landmarks` float32 (B, 468, 2), in sides of the crop; none but for self-blending.
    `videos` int64 (B,), a number for each video; none in a stream.
    """

    images: np.ndarray
    labels: np.ndarray
    landmarks: np.ndarray | None = None
    videos: np.ndarray | None = None

    def take(self, chosen: slice | np.ndarray) -> Batch:
        """The faces at these places of the batch."""
        landmarks = None if self.landmarks is None else self.landmarks[chosen]
        videos = None if self.videos is None else self.videos[chosen]
        return Batch(self.images[chosen], self.labels[chosen], landmarks, videos)


class FacesReader:
    """The share of one worker in a sample of written faces.

    With `self_blend` every face must have landmarks: one without gives its place in an epoch to another
    of its window, and is left out of `in_order`.

    Args:
        rank, world_size: which of how many workers this is.
        lanes: shares that an epoch is cut into; a global batch takes as much of each. So batches
            depend on their number alone, and workers that were lost leave theirs to the others. Default:
            a lane for each worker.
    """

    def __init__(
        self,
        store: FacesStore,
        sample: Sample,
        section: BatchesSection,
        *,
        rank: int = 0,
        world_size: int = 1,
        lanes: int | None = None,
        seed: int = 0,
    ) -> None:
        self.store, self.sample, self.section = store, sample, section
        self.lanes = lanes or world_size
        self.rank, self.world_size, self.seed = rank, world_size, seed
        self.batch_size = section.faces_per_step // world_size
        self.steps = len(sample) // section.faces_per_step
        self._files: dict[int, pq.ParquetFile] = {}
        self._reading = threading.Lock()

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """`steps` batches of `batch_size` faces, in an order of (seed, epoch, lanes) alone.

        Raises:
            ManifestError: the sample is smaller than one global batch, or no face of a window has the
                landmarks it needs.
        """
        require_batch(self.sample, self.section)
        order = self._by_permuted_groups(np.random.default_rng([self.seed, epoch]))
        size = self.section.faces_per_step // self.lanes
        first, end = self.rank * self.batch_size, (self.rank + 1) * self.batch_size
        lanes = range(first // size, -(-end // size))
        own = [slice(max(first - size * i, 0), min(end - size * i, size)) for i in lanes]
        rngs = (np.random.default_rng([self.seed, epoch, 1 + lane]) for lane in lanes)
        batches = [self._lane(order, *lane, size) for lane in zip(lanes, rngs, strict=True)]
        for parts in zip(*batches, strict=True):
            yield _joined([part.take(taken) for part, taken in zip(parts, own, strict=True)])

    def _lane(
        self, order: np.ndarray, lane: int, rng: np.random.Generator, size: int
    ) -> Iterator[Batch]:
        """`steps` batches of `size` faces, from one contiguous share of the order."""
        share = order[lane * self.steps * size : (lane + 1) * self.steps * size]
        windows = np.split(share, self._cuts(len(share), size))
        for faces in self._prefetched([rng.permutation(window) for window in windows]):
            whole = _replace_unknown(faces, rng)
            for start in range(0, len(whole.labels), size):
                yield whole.take(slice(start, start + size))

    def in_order(self) -> Iterator[Batch]:
        """This worker's share of all chosen faces, once; the shares of all workers, rank after rank,
        are one order that depends on the seed alone. The last batch may be short, and with fewer faces
        than workers some have none."""
        order = self._by_permuted_groups(np.random.default_rng(self.seed))
        share = np.array_split(order, self.world_size)[self.rank]
        starts = range(0, len(share), self.batch_size)
        for faces in self._prefetched([share[i : i + self.batch_size] for i in starts]):
            if (known := _known(faces)).all():
                yield faces
            elif known.any():
                yield faces.take(known)

    def _cuts(self, count: int, batch: int) -> list[int]:
        """Where a share is cut into windows; they double from four batches up to `shuffle_faces`,
        so that the first batch does not wait for a whole buffer."""
        largest = max(1, self.section.shuffle_faces // batch) * batch
        cuts, size = [], min(4 * batch, largest)
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

    def _prefetched(self, windows: list[np.ndarray]) -> Iterator[Batch]:
        """The faces of each window, one window read ahead."""
        if not windows:
            return
        with ThreadPoolExecutor(1) as thread:
            ahead = thread.submit(self._read, windows[0])
            for following in [*windows[1:], None]:
                faces = ahead.result()
                if following is not None:
                    ahead = thread.submit(self._read, following)
                yield faces

    def _read(self, window: np.ndarray) -> Batch:
        """The chosen faces, in the order of `window`."""
        images: np.ndarray | None = None
        landmarks: np.ndarray | None = None
        if self.section.self_blend:
            landmarks = np.empty((len(window), POINTS, 2), np.float32)
        group = self.sample.row[window] // ROW_GROUP
        shard = self.sample.shard[window]
        for key in np.unique(np.stack([shard, group]), axis=1).T.tolist():
            places = np.flatnonzero((shard == key[0]) & (group == key[1]))
            table = self._row_group(*key)
            found = decode_images(table)
            if images is None:
                images = np.empty((len(window), *found.shape[1:]), np.uint8)
            rows = self.sample.row[window[places]] - key[1] * ROW_GROUP
            for place, row in zip(places, rows, strict=True):
                images[place] = found[row]  # one copy; numpy's fancy indexing makes two
            if landmarks is not None:
                landmarks[places] = decode_landmarks(table)[rows]
        assert images is not None, "a window is never empty"
        return Batch(images, self.sample.label[window], landmarks, self.sample.video[window])

    def _row_group(self, shard: int, group: int) -> pa.Table:
        """Of one lane at a time: a ParquetFile that two threads read waits for ever, now and then."""
        uri = self.store.shard_uri(self.sample.shards[shard])
        columns = [*_COLUMNS, *(["landmarks"] if self.section.self_blend else [])]
        with self._reading:
            if shard not in self._files:
                self._files[shard] = open_shard(uri)
            file = self._files[shard]
            return storage.attempt(
                lambda: file.read_row_group(group, columns=columns, use_threads=False), uri, "read"
            )


def _joined(parts: list[Batch]) -> Batch:
    """The faces of all parts."""
    if len(parts) == 1:
        return parts[0]
    points = [part.landmarks for part in parts if part.landmarks is not None]
    return Batch(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate(points) if points else None,
    )


def _known(faces: Batch) -> np.ndarray:
    """Which faces have the landmarks they need: bool (N,)."""
    if faces.landmarks is None:
        return np.ones(len(faces.labels), bool)
    return np.isfinite(faces.landmarks[:, 0, 0])


def _replace_unknown(faces: Batch, rng: np.random.Generator) -> Batch:
    """As many faces, those without landmarks replaced by others, drawn at random."""
    known = _known(faces)
    if known.all():
        return faces
    if not known.any():
        raise ManifestError(
            f"None of {len(known)} faces read together has landmarks.",
            "Look at n_landmarks in the extraction's summaries, or raise batches.shuffle_faces.",
        )
    places = np.arange(len(known))
    places[~known] = rng.choice(places[known], np.count_nonzero(~known))
    return faces.take(places)
