"""Pairs of a fake face and a face of the real video that it was made from.

arXiv 2508.06248 finds that training on real and fake data of the same source videos prevents shortcuts; that
a pair shares its batch is of dfray. What both show alike, such as person, place, camera and compression, then
tells nothing of the class within a batch.

The balance is one of each source instead of each dataset: of each of its fakes min(available, k) faces with
k = ceil(faces of the source / its fakes), and as many faces of the source, each as often as the others.
Videos in no pair are sampled as without pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dfray.tables import REAL

NO_SOURCE = -1
HOW_TO_PAIR = (
    "State source_video, as most readers of corpora and column source_video of a CSV list do, or set "
    "batches.pairing: null."
)


def rows_of_sources(videos: pa.Table, available: np.ndarray) -> np.ndarray:
    """Return the row of the video that each fake was made from: int64 (V,).

    NO_SOURCE of real videos, and of fakes that are in no pair: the source is not named or not among the rows,
    or one of both has no face.

    Args:
        videos: real and fake ones of one split, with the columns video_id, label and source_video.
        available: int64 (V,), faces that each has.
    """
    row = pc.fill_null(pc.index_in(videos["source_video"], videos["video_id"]), NO_SOURCE)
    source = row.to_numpy().astype(np.int64)
    label = videos["label"].to_numpy()
    is_pair = (label != REAL) & (source != NO_SOURCE) & (label[source] == REAL)
    is_pair &= (available > 0) & (available[source] > 0)
    return np.where(is_pair, source, NO_SOURCE)


def pair_quotas(quota: np.ndarray, source: np.ndarray, available: np.ndarray) -> np.ndarray:
    """Return the quota of `sample.quotas` with that of each paired fake balanced within its source.

    Args:
        quota, available: int64 (V,), faces to sample, and those that each video has.
        source: int64 (V,), as of `rows_of_sources`.
    """
    fakes = np.flatnonzero(source != NO_SOURCE)
    n_fakes = np.bincount(source[fakes], minlength=len(source))
    per_fake = -(-available[source[fakes]] // n_fakes[source[fakes]])
    paired = quota.copy()
    paired[fakes] = np.minimum(available[fakes], per_fake)
    return paired


def partners(
    video: np.ndarray, face: np.ndarray, source: np.ndarray, available: np.ndarray
) -> np.ndarray:
    """Return the face of its source that goes with each fake face: int64 (P,), rank in the source.

    All fakes of a source take its faces in the order of relative time, so that a pair shows about the same
    moment, and each face of the source is taken as often as the others, but for one time.

    Args:
        video: int64 (P,), row of the fake that each face is of.
        face: int64 (P,), its rank in the fake, in the order of time.
        source, available: int64 (V,), as of `pair_quotas`.
    """
    of = source[video]
    moment = (face + 0.5) / available[video]
    order = np.lexsort((video, moment, of))
    start, count = _runs(of[order])
    place = np.empty(len(of), np.int64)
    place[order] = (np.arange(len(of)) - start) * 2 + 1
    total = np.empty(len(of), np.int64)
    total[order] = 2 * count
    ranks: np.ndarray = place * available[of] // total
    return ranks


def _runs(ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the start and the length of the run of equal values that each place lies in."""
    _, first, index, counts = np.unique(
        ordered, return_index=True, return_inverse=True, return_counts=True
    )
    return first[index], counts[index]


@dataclass(frozen=True)
class PairingCounts:
    """Videos of split train in pairs and in none."""

    n_fakes: int
    n_paired: int
    n_reals: int
    n_sources: int

    def __str__(self) -> str:
        return (
            f"batches.pairing: {self.n_paired:,} of {self.n_fakes:,} fake videos of split train have the "
            f"video they were made from in it; {self.n_reals - self.n_sources:,} of {self.n_reals:,} real "
            "ones have no fake"
        )


def count_pairs(videos: pa.Table) -> PairingCounts:
    """Count the pairs that videos would give if each had a face.

    Args:
        videos: VIDEOS or SUMMARIES; those of split train count.
    """
    train = videos.filter(pc.equal(videos["split"], "train"))
    label = train["label"].to_numpy()
    source = rows_of_sources(train, np.ones(len(label), np.int64))
    paired = source[source != NO_SOURCE]
    n_fakes = int((label != REAL).sum())
    return PairingCounts(n_fakes, len(paired), len(label) - n_fakes, len(np.unique(paired)))
