"""Pairs of near hashes are those that a comparison of all with all finds."""

from __future__ import annotations

import numpy as np
import pytest

from dfray.audit.hash_index import near_pairs


def brute_force(left: np.ndarray, right: np.ndarray, distance: int) -> list[tuple[int, int]]:
    bits = np.bitwise_count(left[:, None] ^ right[None, :])
    return [(int(i), int(j)) for i, j in np.argwhere(bits <= distance)]


def planted(n: int, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random hashes, and for each one that differs from it in up to `most` bits."""
    rng = np.random.default_rng(seed)
    left = np.unique(rng.integers(0, 2**64, n, dtype=np.uint64))
    right = left.copy()
    for index in range(len(right)):
        for bit in rng.choice(64, rng.integers(0, most + 1), replace=False):
            right[index] ^= np.uint64(1) << np.uint64(bit)
    return left, np.unique(right)


@pytest.mark.parametrize("distance", [0, 1, 4, 7])
def test_the_pairs_are_those_of_all_comparisons(distance: int) -> None:
    left, right = planted(300, 9, seed=distance)
    found = [tuple(pair) for pair in near_pairs(left, right, distance).tolist()]
    assert found == brute_force(left, right, distance)
    assert len(found) >= 300 * distance // 12


def test_hashes_that_share_most_of_their_bits_are_compared_in_chunks(monkeypatch) -> None:
    monkeypatch.setattr("dfray.audit.hash_index._CHUNK", 64)
    rng = np.random.default_rng(0)
    left, right = (np.unique(rng.integers(0, 2**12, 200, dtype=np.uint64)) for _ in range(2))
    assert [tuple(pair) for pair in near_pairs(left, right, 3).tolist()] == brute_force(
        left, right, 3
    )


def test_nothing_is_near_nothing() -> None:
    nothing = np.empty(0, np.uint64)
    assert near_pairs(nothing, np.array([5], np.uint64), 4).shape == (0, 2)
