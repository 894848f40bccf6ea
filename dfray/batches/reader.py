"""Batches from written faces, read in each training worker straight from the Parquet shards.

Ray Data costs tens of seconds before the first batch of every execution; a row group read by pyarrow costs
milliseconds, so thirty epochs over written shards read them directly. Each epoch permutes the row groups,
cuts the sampled rows into equal, contiguous lanes, one for each worker of a full group, and shuffles each in
windows of up to `shuffle_faces`. A thread reads the next window during the training on the current one.
What is permuted are units of faces that share a batch: one face each, or two of a sample with pairs.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dfray.batches.sample import Sample, require_batch
from dfray.config import BatchesSection
from dfray.errors import ManifestError
from dfray.faces.crop_codec import decode_images, decode_landmarks
from dfray.faces.landmarks import POINTS
from dfray.faces.shard_file import ShardFile
from dfray.faces.shards import ROW_GROUP, FacesStore

_COLUMNS = ["image", "encoding", "size_px"]


@dataclass(frozen=True)
class Batch:
    """Faces of one step or window.

    Attributes:
        images: uint8 (B, S, S, 3) RGB.
        labels: int64 (B,).
        landmarks: float32 (B, 468, 2), in sides of the crop; None without self-blending.
        videos: int64 (B,), a number for each video; None in a stream.
    """

    images: np.ndarray
    labels: np.ndarray
    landmarks: np.ndarray | None = None
    videos: np.ndarray | None = None

    def take(self, index: slice | np.ndarray) -> Batch:
        """Return the faces at these indices of the batch."""
        landmarks = None if self.landmarks is None else self.landmarks[index]
        videos = None if self.videos is None else self.videos[index]
        return Batch(self.images[index], self.labels[index], landmarks, videos)


class FacesReader:
    """The share of one worker in a sample of written faces.

    With `self_blend` every face must have landmarks: a face without is replaced in an epoch by another of
    its window, and skipped by `in_order`.

    Args:
        rank: of the worker, from 0.
        world_size: number of workers.
        lanes: shares that an epoch is cut into; a global batch takes the same number of faces of each. So
            batches depend on the number of lanes alone, and after the loss of workers the others read
            their lanes. Default: a lane for each worker.
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
        self._unit = 2 if len(sample.pairs) else 1
        n_units = (len(sample) - 2 * len(sample.pairs)) // self._unit + len(sample.pairs)
        self.steps = n_units * self._unit // section.faces_per_step
        self._files: dict[int, ShardFile] = {}
        self._reading = threading.Lock()

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield `steps` batches of `batch_size` faces, in an order of (seed, epoch, lanes) alone.

        Raises:
            ManifestError: the sample is smaller than one global batch, or no face of a window has
                landmarks.
        """
        require_batch(self.sample, self.section)
        order = self._units(np.random.default_rng([self.seed, epoch]))
        size = self.section.faces_per_step // self.lanes
        first, end = self.rank * self.batch_size, (self.rank + 1) * self.batch_size
        lanes = range(first // size, -(-end // size))
        slices = [slice(max(first - size * i, 0), min(end - size * i, size)) for i in lanes]
        rngs = (np.random.default_rng([self.seed, epoch, 1 + lane]) for lane in lanes)
        batches = [self._lane(order, *lane, size) for lane in zip(lanes, rngs, strict=True)]
        for lane_batches in zip(*batches, strict=True):
            pairs = zip(lane_batches, slices, strict=True)
            yield _concatenated([batch.take(rows) for batch, rows in pairs])

    def _lane(
        self, order: np.ndarray, lane: int, rng: np.random.Generator, size: int
    ) -> Iterator[Batch]:
        """Yield `steps` batches of `size` faces, from one contiguous share of the order."""
        length = self.steps * size // self._unit
        share = order[lane * length : (lane + 1) * length]
        windows = np.split(share, self._cuts(len(share), size // self._unit))
        for faces in self._prefetched([rng.permutation(window).ravel() for window in windows]):
            window = _replace_without_landmarks(faces, rng)
            for start in range(0, len(window.labels), size):
                yield window.take(slice(start, start + size))

    def in_order(self) -> Iterator[Batch]:
        """Yield this worker's share of all sampled faces, once, in batches; the last one may be short.

        The shares of all workers, rank after rank, are one order that depends on the seed alone. With
        fewer faces than workers some shares are empty.
        """
        rng = np.random.default_rng(self.seed)
        order = self._by_permuted_groups(np.arange(len(self.sample)), rng)
        share = np.array_split(order, self.world_size)[self.rank]
        starts = range(0, len(share), self.batch_size)
        for faces in self._prefetched([share[i : i + self.batch_size] for i in starts]):
            if (usable := _has_landmarks(faces)).all():
                yield faces
            elif usable.any():
                yield faces.take(usable)

    def _cuts(self, count: int, batch: int) -> list[int]:
        """Return the indices that cut a share of `count` units into windows of whole batches.

        Windows double from four batches up to `shuffle_faces`, so that the first batch does not wait for
        a full buffer.
        """
        largest = max(1, self.section.shuffle_faces // self._unit // batch) * batch
        cuts, size = [], min(4 * batch, largest)
        place = size
        while place < count:
            cuts.append(place)
            size = min(2 * size, largest)
            place += size
        return cuts

    def _units(self, rng: np.random.Generator) -> np.ndarray:
        """Return indices into the sample, int64 (U, faces of a unit): row groups in random order.

        With pairs those, in the groups of their fakes, and the other faces in twos, but for an odd one.
        """
        singles = np.setdiff1d(np.arange(len(self.sample)), self.sample.pairs)
        if self._unit == 1:
            return self._by_permuted_groups(singles, rng)[:, None]
        twos = self._by_permuted_groups(singles, rng)[: len(singles) // 2 * 2].reshape(-1, 2)
        units = np.concatenate([self.sample.pairs, twos])
        return self._by_permuted_groups(units, rng)

    def _by_permuted_groups(self, units: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return units of the sample, row groups in random order, units of a group adjacent.

        Args:
            units: int64 (U,) or (U, n), indices into the sample; a unit is in the group of its first face.
        """
        if not len(units):
            return units
        first = units.reshape(len(units), -1)[:, 0]
        group = (
            self.sample.shard[first].astype(np.int64) << 32 | self.sample.row[first] // ROW_GROUP
        )
        _, index = np.unique(group, return_inverse=True)
        place = rng.permutation(index.max() + 1)
        return units[np.argsort(place[index], kind="stable")]

    def _prefetched(self, windows: list[np.ndarray]) -> Iterator[Batch]:
        """Yield the faces of each window, with one window read ahead."""
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
        """Return the sampled faces of `window`, in its order."""
        images: np.ndarray | None = None
        landmarks: np.ndarray | None = None
        if self.section.self_blend:
            landmarks = np.empty((len(window), POINTS, 2), np.float32)
        group = self.sample.row[window] // ROW_GROUP
        shard = self.sample.shard[window]
        for key in np.unique(np.stack([shard, group]), axis=1).T.tolist():
            places = np.flatnonzero((shard == key[0]) & (group == key[1]))
            table = self._row_group(*key)
            group_images = decode_images(table)
            if images is None:
                images = np.empty((len(window), *group_images.shape[1:]), np.uint8)
            rows = self.sample.row[window[places]] - key[1] * ROW_GROUP
            for place, row in zip(places, rows, strict=True):
                images[place] = group_images[row]  # one copy; numpy's fancy indexing makes two
            if landmarks is not None:
                landmarks[places] = decode_landmarks(table)[rows]
        assert images is not None, "a window is never empty"
        return Batch(images, self.sample.label[window], landmarks, self.sample.video[window])

    def _row_group(self, shard: int, group: int) -> pa.Table:
        """Read a row group, one thread at a time: a file that two threads read can block for ever."""
        uri = self.store.shard_uri(self.sample.shards[shard])
        columns = [*_COLUMNS, *(["landmarks"] if self.section.self_blend else [])]
        with self._reading:
            if shard not in self._files:
                self._files[shard] = ShardFile(uri)
            file = self._files[shard]
            return file.read_row_group(group, columns, use_threads=False)


def _concatenated(batches: list[Batch]) -> Batch:
    """Return one batch with the faces of all."""
    if len(batches) == 1:
        return batches[0]
    points = [batch.landmarks for batch in batches if batch.landmarks is not None]
    return Batch(
        np.concatenate([batch.images for batch in batches]),
        np.concatenate([batch.labels for batch in batches]),
        np.concatenate(points) if points else None,
    )


def _has_landmarks(faces: Batch) -> np.ndarray:
    """Return bool (N,), true for faces with landmarks, or for all if the batch needs none."""
    if faces.landmarks is None:
        return np.ones(len(faces.labels), bool)
    return np.asarray(np.isfinite(faces.landmarks[:, 0, 0]))


def _replace_without_landmarks(faces: Batch, rng: np.random.Generator) -> Batch:
    """Return as many faces; those without landmarks are replaced by random ones with landmarks."""
    usable = _has_landmarks(faces)
    if usable.all():
        return faces
    if not usable.any():
        raise ManifestError(
            f"None of {len(usable)} faces read together has landmarks.",
            "Look at n_landmarks in the extraction's summaries, or raise batches.shuffle_faces.",
        )
    places = np.arange(len(usable))
    places[~usable] = rng.choice(places[usable], np.count_nonzero(~usable))
    return faces.take(places)
