"""Cost of extracting a whole manifest from that of a sample, with bootstrap intervals.

Within a dataset cost is proportional to the expected frames, which the manifest states for every video: so
each dataset's total is its frames times the sample's cost per frame (the ratio estimator of survey
sampling), and a video that cannot be read counts with the time it took. The bootstrap resamples the
videos of the sample, with replacement, within each dataset.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dfray.batches.choice import choose_faces
from dfray.config import BatchesSection, FacesSection
from dfray.evaluation.bootstrap import percentile_interval
from dfray.faces.shard_plan import expected_faces
from dfray.planning.measure import DatasetCost, ExtractionCost
from dfray.tables import REAL, SPLITS

RESAMPLES = 2000
CONFIDENCE = 0.9


@dataclass(frozen=True)
class Interval:
    """An estimate and its interval of confidence CONFIDENCE."""

    value: float
    low: float
    high: float

    def __mul__(self, factor: float) -> Interval:
        return Interval(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class DatasetTotal:
    """Estimate of one dataset.

    Attributes:
        frames: expected, of all videos.
        measured: name of the sampled dataset whose rates apply: its own, or the clips'.
        sampled: number of videos measured of that dataset.
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
    """Estimate of a whole manifest.

    Attributes:
        cpu_s: CPU seconds on cores like this machine's.
        faces, stored_bytes: of all datasets.
        videos: split -> number of videos.
        per_epoch: split (train, val) -> faces that an epoch uses.
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
    """Return the cost of extracting `videos`, and the faces that an epoch trains on.

    Args:
        videos: VIDEOS.
        cost: of every dataset of `videos`, or of one that represents all others.
    """
    rng = np.random.default_rng(seed)
    rates = {name: _rates(dataset, rng) for name, dataset in sorted(cost.datasets.items())}
    name_of = np.asarray(videos["dataset"].to_pylist())
    frames = expected_faces(videos, faces)
    available = np.zeros(len(frames), np.int64)
    totals, sums = [], np.zeros((3, 1 + RESAMPLES))
    for name in np.unique(name_of).tolist():
        is_member = name_of == name
        measured = name if name in rates else next(iter(rates))
        total = _dataset_total(
            name, frames[is_member], measured, cost.datasets[measured], rates[measured]
        )
        totals.append(total)
        cpu_s, n_faces = rates[measured]
        sums += total.frames * np.stack([cpu_s, n_faces, n_faces * total.bytes_per_face])
        available[is_member] = np.rint(frames[is_member] * total.faces_per_frame)
    splits = videos["split"].to_pylist()
    return ExtractionTotal(
        datasets=tuple(totals),
        cpu_s=_interval(sums[0]),
        faces=_interval(sums[1]),
        stored_bytes=_interval(sums[2]),
        videos={name: splits.count(name) for name in SPLITS},
        per_epoch=_per_epoch(videos, available, batches),
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
    """Return CPU seconds and faces per frame: float64 (2, 1 + RESAMPLES), the sample itself first."""
    count = len(dataset.videos)
    drawn = np.vstack([np.arange(count), rng.integers(count, size=(RESAMPLES, count))])
    frames, cpu_s, faces = (
        np.array([getattr(video, name) for video in dataset.videos], np.float64)
        for name in ("expected", "cpu_s", "faces")
    )
    per = np.maximum(frames[drawn].sum(axis=1), 1)
    return np.stack([cpu_s[drawn].sum(axis=1) / per, faces[drawn].sum(axis=1) / per])


def _interval(values: np.ndarray) -> Interval:
    return Interval(float(values[0]), *percentile_interval(values[1:], CONFIDENCE))


def _per_epoch(videos: pa.Table, available: np.ndarray, section: BatchesSection) -> dict[str, int]:
    """Return the faces that an epoch uses of train and val, by the rule of `choose_faces`."""
    split = np.asarray(videos["split"].to_pylist())
    label = videos["label"].to_numpy()
    counts = {}
    for name in ("train", "val"):
        rows = split == name
        if section.self_blend is not None:  # real faces only, each with its self-blended fake
            counts[name] = 2 * int(available[rows & (label == REAL)].sum())
            continue
        of_split = videos.filter(pa.array(rows))
        counts[name] = len(choose_faces(of_split, available[rows], name, section).video)
    return counts
