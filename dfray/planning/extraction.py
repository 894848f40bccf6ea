"""From the cost of a sample to that of the whole manifest, with intervals from resampling its videos.

Within a dataset cost goes with the frames to expect, which the manifest tells of every video: so each
dataset's total is its frames times the sample's cost per frame (the ratio estimator of survey sampling),
and a video that cannot be read counts for what it cost. The bootstrap draws the sample's videos anew, with
replacement, within each dataset.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dfray.batches.sample import quotas
from dfray.config import BatchesSection, FacesSection
from dfray.faces.shard_plan import expected_faces
from dfray.planning.measure import DatasetCost, ExtractionCost
from dfray.tables import REAL, SPLITS

RESAMPLES = 2000
CONFIDENCE = 0.9


@dataclass(frozen=True)
class Interval:
    """A figure and where it lies with a confidence of CONFIDENCE."""

    value: float
    low: float
    high: float

    def __mul__(self, factor: float) -> Interval:
        return Interval(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class DatasetTotal:
    """One dataset as it would be.

    Attributes:
        frames: to expect of its videos.
        measured: name of the sampled dataset whose rates it has: its own, or the clips'.
        sampled: videos of that which were measured.
        cpu_per_frame_s, faces_per_frame, bytes_per_face: the rates.
    """

    name: str
    videos: int
    frames: int
    measured: str
    sampled: int
    cpu_per_frame_s: float
    faces_per_frame: float
    bytes_per_face: float


@dataclass(frozen=True)
class ExtractionTotal:
    """All of a manifest.

    Attributes:
        cpu_s: CPU seconds on cores like this one's.
        faces, stored_bytes: of all datasets.
        videos: split -> how many.
        per_epoch: split (train, val) -> faces that an epoch takes of it.
    """

    datasets: tuple[DatasetTotal, ...]
    cpu_s: Interval
    faces: Interval
    stored_bytes: Interval
    videos: dict[str, int]
    per_epoch: dict[str, int]


def estimate_extraction(
    videos: pa.Table,
    cost: ExtractionCost,
    faces: FacesSection,
    batches: BatchesSection,
    seed: int = 0,
) -> ExtractionTotal:
    """What extracting `videos` takes, and how many of the faces an epoch trains on.

    Args:
        videos: VIDEOS.
        cost: has every dataset of `videos`, or one that stands for all others.
    """
    rng = np.random.default_rng(seed)
    rates = {name: _rates(dataset, rng) for name, dataset in sorted(cost.datasets.items())}
    name_of = np.asarray(videos["dataset"].to_pylist())
    frames = expected_faces(videos, faces)
    available = np.zeros(len(frames), np.int64)
    totals, sums = [], np.zeros((3, 1 + RESAMPLES))
    for name in np.unique(name_of).tolist():
        mine = name_of == name
        measured = name if name in rates else next(iter(rates))
        one = _dataset_total(name, frames[mine], measured, cost.datasets[measured], rates[measured])
        totals.append(one)
        cpu_s, found = rates[measured]
        sums += one.frames * np.stack([cpu_s, found, found * one.bytes_per_face])
        available[mine] = np.rint(frames[mine] * one.faces_per_frame)
    splits = videos["split"].to_pylist()
    return ExtractionTotal(
        datasets=tuple(totals),
        cpu_s=_interval(sums[0]),
        faces=_interval(sums[1]),
        stored_bytes=_interval(sums[2]),
        videos={name: splits.count(name) for name in SPLITS},
        per_epoch=_per_epoch(videos, name_of, available, batches),
    )


def _dataset_total(
    name: str, frames: np.ndarray, measured: str, sampled: DatasetCost, rates: np.ndarray
) -> DatasetTotal:
    return DatasetTotal(
        name=name,
        videos=len(frames),
        frames=int(frames.sum()),
        measured=measured,
        sampled=len(sampled.videos),
        cpu_per_frame_s=float(rates[0, 0]),
        faces_per_frame=float(rates[1, 0]),
        bytes_per_face=sampled.bytes_per_face,
    )


def _rates(dataset: DatasetCost, rng: np.random.Generator) -> np.ndarray:
    """CPU seconds and faces per frame: float64 (2, 1 + RESAMPLES), the sample's own first."""
    count = len(dataset.videos)
    drawn = np.vstack([np.arange(count), rng.integers(count, size=(RESAMPLES, count))])
    frames, cpu_s, faces = (
        np.array([getattr(video, name) for video in dataset.videos], np.float64)
        for name in ("expected", "cpu_s", "faces")
    )
    per = np.maximum(frames[drawn].sum(axis=1), 1)
    return np.stack([cpu_s[drawn].sum(axis=1) / per, faces[drawn].sum(axis=1) / per])


def _interval(values: np.ndarray) -> Interval:
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(values[1:], [tail, 100 - tail]).tolist()
    return Interval(float(values[0]), low, high)


def _per_epoch(
    videos: pa.Table, dataset: np.ndarray, available: np.ndarray, section: BatchesSection
) -> dict[str, int]:
    """Faces that an epoch takes of train and val, by the rule of `quotas`."""
    split = np.asarray(videos["split"].to_pylist())
    label = videos["label"].to_numpy()
    counts = {}
    for name in ("train", "val"):
        rows = split == name
        if section.self_blend is not None:  # real faces alone, each with a fake of its own
            counts[name] = 2 * int(available[rows & (label == REAL)].sum())
            continue
        quota = quotas(dataset[rows], label[rows], available[rows], section.sampling)
        counts[name] = int(quota.sum())
    return counts
