"""Of a long video the pictures of its extreme faces are kept, and of some between, however long it is."""

from __future__ import annotations

import numpy as np

from dfray.serving.kept_faces import EXTREME, SPREAD, KeptFace, KeptFaces

RNG = np.random.default_rng(0)


def kept_of(probabilities: np.ndarray) -> list[int]:
    kept = KeptFaces()
    for number, probability in enumerate(probabilities.tolist()):
        crop = np.full((1, 1, 3), number % 256, np.uint8)
        kept.add(number, probability, KeptFace(crop, (0, 0, 1)))
    pictures = kept.pictures()
    assert all(face.crop[0, 0, 0] == number % 256 for number, face in pictures.items())
    return list(pictures)


def test_all_faces_of_a_short_video_are_kept() -> None:
    assert kept_of(RNG.random(SPREAD)) == list(range(SPREAD))


def test_the_highest_and_the_lowest_of_a_long_one_are_kept_wherever_they_are() -> None:
    probabilities = RNG.random(3000)
    kept = kept_of(probabilities)
    order = np.argsort(probabilities)
    assert {*order[:EXTREME].tolist(), *order[-EXTREME:].tolist()} <= set(kept)
    assert len(kept) <= 2 * EXTREME + SPREAD


def test_others_are_spread_over_the_whole_video() -> None:
    kept = np.array(kept_of(np.zeros(3000)))
    for start in range(0, 3000, 300):
        assert ((kept >= start) & (kept < start + 300)).any()


def test_of_equal_faces_the_first_are_the_extreme_ones() -> None:
    assert set(range(EXTREME)) <= set(kept_of(np.full(500, 0.5)))
