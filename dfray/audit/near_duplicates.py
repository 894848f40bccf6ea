"""Near-duplicates in training and in test: videos that look alike at the same times, by perceptual hashes.

Re-encoded, resized and re-muxed copies keep their hashes but for a few bits; so do a face swap and the video
that it was made from. A pair is reported if most of the hashed frames that both videos have are alike. It is
a warning: two still clips of one person in one place can look alike, too, and a copy that was cropped in
time begins at another frame and is missed. How often: tests/benchmarks/README.md.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dfray.audit.equal import TRAINED, Member
from dfray.audit.hash_index import near_pairs
from dfray.faces.picture_hash import HASHED_FRAMES
from dfray.tables import Row

DISTANCE, MEAN_DISTANCE = 4, 2
"""Bits in which the hashes of a frame and of its copy may differ, and in the mean over the alike frames. So
the copies of all 18 real clips at half the size were found, and 5 of 52 pairs of distinct seconds of one shot
are called, too: 8 without the mean. By 2 bits a frame it is 2, but a quarter of the demo clips is missed."""
LEAST_FRAMES = 2
"""Alike frames that a pair needs, unless one of the videos has a single hashed picture."""
SHARE = 0.75
"""Share of the frames that both have which must be alike."""
MOST_OF_A_HASH = 100
"""Videos of each side of one hash that are paired, so that a thousand copies are no million pairs."""


@dataclass(frozen=True)
class NearDuplicate:
    """A video of training and one of the test that look alike.

    Attributes:
        frames, alike: frames that both have hashes of, and those that look alike.
        is_stated: one is the source of the other, or both have one source, by the corpus.
    """

    trained: Member
    tested: Member
    frames: int
    alike: int
    is_stated: bool

    def __str__(self) -> str:
        pair = f"{self.trained.video_id} ({self.trained.split}) ~ {self.tested.video_id} (test)"
        return f"{pair}, {self.alike} of {self.frames} frames"


def near_duplicates(summaries: pa.Table) -> tuple[NearDuplicate, ...]:
    """Return the pairs of near-duplicates, of train or val and of test.

    Those of equal faces are not among them, nor videos with faces of the time before there were hashes.

    Args:
        summaries: SUMMARIES of all splits.
    """
    is_hashed = pc.and_(pc.greater(summaries["n_faces"], 0), pc.is_valid(summaries["hashes"]))
    hashed = summaries.filter(is_hashed)
    rows = hashed.select([*_COLUMNS, "hashes"]).to_pylist()
    is_trained = np.array([row["split"] in TRAINED for row in rows], bool)
    hashes, is_known = _matrix(rows)
    alike = _alike(hashes, is_known, is_trained)
    return tuple(
        pair
        for (trained, tested), count in sorted(alike.items())
        if (pair := _pair(rows[trained], rows[tested], count)) is not None
    )


_COLUMNS = ("video_id", "dataset", "split", "label", "source_video", "faces_digest")


def _matrix(rows: list[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Return the hashes, uint64 (V, P), of P frames, and a bool (V, P) of those that there are."""
    hashes = np.zeros((len(rows), len(HASHED_FRAMES)), np.uint64)
    is_known = np.zeros(hashes.shape, bool)
    for index, row in enumerate(rows):
        for place, value in enumerate(row["hashes"]):
            if value is not None:
                hashes[index, place], is_known[index, place] = value, True
    return hashes, is_known


def _alike(
    hashes: np.ndarray, is_known: np.ndarray, is_trained: np.ndarray
) -> Counter[tuple[int, int]]:
    """Return the number of alike frames of each pair of a trained and a tested video that has any."""
    counts: Counter[tuple[int, int]] = Counter()
    for place in range(hashes.shape[1]):
        sides = [
            _by_hash(hashes[:, place], np.flatnonzero(is_known[:, place] & of_side))
            for of_side in (is_trained, ~is_trained)
        ]
        ours, theirs = (np.array(list(side), np.uint64) for side in sides)
        for one, other in near_pairs(ours, theirs, DISTANCE):
            counts.update(
                (trained, tested)
                for trained in sides[0][int(ours[one])]
                for tested in sides[1][int(theirs[other])]
            )
    return counts


def _by_hash(hashes: np.ndarray, videos: np.ndarray) -> dict[int, list[int]]:
    """Return hash -> the first videos that have it."""
    found: dict[int, list[int]] = {}
    for video in videos.tolist():
        same = found.setdefault(int(hashes[video]), [])
        if len(same) < MOST_OF_A_HASH:
            same.append(video)
    return found


def _pair(trained: Row, tested: Row, alike: int) -> NearDuplicate | None:
    if trained["faces_digest"] is not None and trained["faces_digest"] == tested["faces_digest"]:
        return None
    distances = sorted(
        (one ^ other).bit_count()
        for one, other in zip(trained["hashes"], tested["hashes"], strict=False)
        if one is not None and other is not None
    )
    frames = len(distances)
    shortest = min(len(list(_known(row))) for row in (trained, tested))
    needed = max(min(shortest, LEAST_FRAMES), math.ceil(SHARE * frames))
    if alike < needed or sum(distances[:needed]) > MEAN_DISTANCE * needed:
        return None
    sources = [{row["video_id"], row["source_video"]} - {None} for row in (trained, tested)]
    return NearDuplicate(
        Member.of(trained), Member.of(tested), frames, alike, not sources[0].isdisjoint(sources[1])
    )


def _known(row: Row) -> Iterator[int]:
    return (value for value in row["hashes"] if value is not None)
