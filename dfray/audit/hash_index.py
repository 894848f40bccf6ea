"""Pairs of 64-bit hashes within a few bits of each other, in far less than quadratic time.

The bits are divided into bands. Two hashes that differ in d bits at most agree in all but d bands at least,
so the hashes are sorted by each choice of that many bands, and only equal ones are compared (multi-index
hashing, arXiv 1307.2982, with several bands at once: with 8 bands and d = 4 a comparison needs 32 equal
bits).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

BANDS = 8
_CHUNK = 1 << 22
"""Comparisons that are made at once."""


def near_pairs(left: np.ndarray, right: np.ndarray, distance: int) -> np.ndarray:
    """Return the pairs of a hash on the left and one on the right that differ in few bits.

    Args:
        left, right: uint64 (N,), (M,), each without repeats.
        distance: bits that may differ, less than BANDS.

    Returns:
        int64 (K, 2), indices into left and right, in order.
    """
    found = [np.empty((0, 2), np.int64)]
    for mask in _masks(distance):
        for ours, theirs in _agreeing(left & mask, right & mask):
            bits = np.bitwise_count(left[ours] ^ right[theirs])
            is_near = bits <= distance
            found.append(np.stack([ours[is_near], theirs[is_near]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _masks(distance: int) -> Iterator[np.uint64]:
    """Yield a mask of the bits of each choice of BANDS - distance bands."""
    width = 64 // BANDS
    for bands in combinations(range(BANDS), BANDS - distance):
        yield np.uint64(sum((2**width - 1) << (band * width) for band in bands))


def _agreeing(left: np.ndarray, right: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield indices of left and right with equal values, in chunks."""
    order = np.argsort(left, kind="stable")
    keys = left[order]
    starts = np.searchsorted(keys, right, side="left")
    counts = np.searchsorted(keys, right, side="right") - starts
    theirs = np.flatnonzero(counts)
    if not len(theirs):
        return
    ends = np.cumsum(counts[theirs])
    for first, last in _chunks(ends):
        chosen = theirs[first:last]
        repeats = counts[chosen]
        offsets = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        yield order[np.repeat(starts[chosen], repeats) + offsets], np.repeat(chosen, repeats)


def _chunks(ends: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows of about _CHUNK comparisons each, by the comparisons up to each row."""
    first = 0
    while first < len(ends):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + _CHUNK, side="right")))
        yield first, last
        first = last
