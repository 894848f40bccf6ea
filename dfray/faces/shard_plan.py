"""Assignment of videos to shards, made before anything runs.

A shard is the unit of work, of commit and of retry: one task extracts it, one commit shows it (more
than one where the estimate of its size was far too low: its parts are `<shard>.0`, `<shard>.1`, ...).
The plan is a pure function of the manifest, the settings, the seed and what is committed.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dfray.config import FacesSection

UNKNOWN_DURATION_S = 10.0
"""Length assumed of videos of a dataset of which no length is known. Sizes of shards and the shares
of a streamed first epoch depend on it, nothing else."""


@dataclass(frozen=True)
class ShardPlan:
    """Videos (VIDEOS, plus `quota`: int32, faces to hand on) that share a shard."""

    shard: str
    videos: pa.Table


def expected_faces(videos: pa.Table, settings: FacesSection) -> np.ndarray:
    """Return the faces to expect of each video, one a sampled frame: int64 (N,), at least 1.

    With `faces.frames` it is that number, which a short video may not have. At a rate, a video whose length
    is not known is taken to be as long as its dataset's are on average.
    """
    duration = pc.fill_null(videos.column("duration_s"), np.nan).to_numpy().copy()
    dataset = np.asarray(videos.column("dataset").to_pylist())
    for name in np.unique(dataset[np.isnan(duration)]):
        in_dataset, is_unknown = dataset == name, np.isnan(duration)
        lengths = duration[in_dataset & ~is_unknown]
        duration[in_dataset & is_unknown] = lengths.mean() if len(lengths) else UNKNOWN_DURATION_S
    if settings.rate_fps is None:
        samples = np.full(videos.num_rows, settings.frames)
    else:  # k / rate_fps before the end, k = 0, 1, ...
        samples = np.ceil(duration * settings.rate_fps - 1e-9)
    images = videos.column("n_images").to_numpy()
    frames: np.ndarray = np.where(images > 0, images, samples).astype(np.int64)
    at_least_one: np.ndarray = np.maximum(frames, 1)
    return at_least_one


def expected_bytes(videos: pa.Table, settings: FacesSection) -> np.ndarray:
    """Return the bytes to expect of each video's stored faces: float64 (N,)."""
    size: np.ndarray = expected_faces(videos, settings) * _bytes_per_face(settings)
    return size


def _bytes_per_face(settings: FacesSection) -> float:
    return settings.size_px**2 * 3 * (0.1 if settings.storage == "jpeg" else 0.75)


def plan_shards(
    videos: pa.Table, settings: FacesSection, done: pa.Table, *, workers: int, seed: int
) -> tuple[list[ShardPlan], list[ShardPlan]]:
    """Cut `videos` into shards to extract, and list the shards that are committed already.

    Args:
        videos: VIDEOS, with or without a `quota` column.
        done: SUMMARIES of those of them that are committed.
        workers: extraction actors; small manifests are cut finer, so that all have work.

    Returns:
        (pending, committed), each in a seeded random order.
    """
    if "quota" not in videos.column_names:
        videos = videos.append_column("quota", pa.array(np.zeros(videos.num_rows, np.int32)))
    shard_of = dict(
        zip(done.column("video_id").to_pylist(), done.column("shard").to_pylist(), strict=True)
    )
    ids = videos.column("video_id").to_pylist()
    is_done = np.array([video_id in shard_of for video_id in ids], bool)
    rng = np.random.default_rng(seed)
    pending: list[ShardPlan] = []
    for split in sorted(set(videos.column("split").to_pylist())):
        of_split = pc.equal(videos.column("split"), split).to_numpy(zero_copy_only=False)
        rows = rng.permutation(np.flatnonzero(of_split & ~is_done))
        pending += [
            _new_shard(split, videos.take(of_shard), settings)
            for of_shard in _cut(rows, expected_faces(videos, settings), settings, workers)
        ]
    groups: dict[str, list[int]] = {}
    for row in np.flatnonzero(is_done):
        shard = shard_of[ids[row]].rpartition(".")[0]
        groups.setdefault(shard, []).append(int(row))
    committed = [ShardPlan(shard, videos.take(rows)) for shard, rows in sorted(groups.items())]
    return _shuffled(pending, rng), _shuffled(committed, rng)


def _cut(
    rows: np.ndarray, faces: np.ndarray, settings: FacesSection, workers: int
) -> list[np.ndarray]:
    """Return `rows` in consecutive parts of about `shard_mb` each, and at least four a worker."""
    if len(rows) == 0:
        return []
    size = faces[rows] * _bytes_per_face(settings)
    limit = min(settings.shard_mb * 2**20, float(size.sum()) / min(4 * workers, len(rows)))
    number = np.floor((np.cumsum(size) - size / 2) / math.ceil(limit)).astype(int)
    return np.split(rows, np.flatnonzero(np.diff(number)) + 1)


def _new_shard(split: str, videos: pa.Table, settings: FacesSection) -> ShardPlan:
    columns = (videos[column].to_pylist() for column in ("video_id", "uri", "content"))
    names = (name for column in columns for name in column if name is not None)
    content = "\n".join([str(settings.shaping()), *names])
    return ShardPlan(f"{split}-{hashlib.sha256(content.encode()).hexdigest()[:12]}", videos)


def _shuffled(plans: list[ShardPlan], rng: np.random.Generator) -> list[ShardPlan]:
    return [plans[i] for i in rng.permutation(len(plans))]
