"""Videos that look alike at the same times, one trained on and one tested on."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dfray.audit.near_duplicates import MOST_OF_A_HASH, near_duplicates
from dfray.tables import SUMMARIES
from tests.helpers.rows import fake_row, video_row

RNG = np.random.default_rng(0)
HASHES = [int(value) for value in RNG.integers(0, 2**64, 5, dtype=np.uint64)]


def differing(hashes: list[int], bits: int) -> list[int]:
    """Return the hashes with so many bits turned."""
    return [value ^ ((1 << bits) - 1) for value in hashes]


def summaries(*rows: dict) -> pa.Table:
    plain = {"status": "ok", "attempts": 1, "n_frames": 9, "n_frames_with_face": 9}
    plain |= {"n_decode_errors": 0, "n_faces": 9, "cpu_s": 0.1, "first_row": 0, "hashes": HASHES}
    return SUMMARIES.from_rows([plain | row for row in rows])


def test_a_few_bits_are_a_copy_and_more_are_not() -> None:
    table = summaries(
        video_row("a"),
        video_row("b", split="test", hashes=differing(HASHES, 2)),
        video_row("c", split="test", hashes=[*HASHES[:4], HASHES[4] ^ 31]),
        video_row("d", split="test", hashes=[*HASHES[:3], *differing(HASHES[3:], 5)]),
        video_row("e", split="test", hashes=differing(HASHES, 3)),
    )
    pairs = near_duplicates(table)
    assert [str(pair) for pair in pairs] == [
        "toy/camera/a (train) ~ toy/camera/b (test), 5 of 5 frames",
        "toy/camera/a (train) ~ toy/camera/c (test), 4 of 5 frames",
    ]


def test_one_alike_frame_of_several_is_no_copy() -> None:
    others = [HASHES[0], *differing(HASHES[1:], 30)]
    table = summaries(video_row("a"), video_row("b", split="test", hashes=others))
    assert near_duplicates(table) == ()


def test_a_shorter_copy_is_compared_by_the_frames_that_both_have() -> None:
    table = summaries(
        video_row("a"),
        video_row("b", split="test", hashes=HASHES[:2]),
        video_row("c", split="test", hashes=[None, *HASHES[1:3]]),
        video_row("d", split="test", hashes=[HASHES[0]]),
    )
    pairs = near_duplicates(table)
    assert [(pair.tested.video_id[-1], pair.alike, pair.frames) for pair in pairs] == [
        ("b", 2, 2),
        ("c", 2, 2),
        ("d", 1, 1),
    ]


def test_pairs_of_one_side_are_no_leak() -> None:
    table = summaries(video_row("a"), video_row("b", split="val"))
    assert near_duplicates(table) == ()


def test_a_fake_and_its_source_across_splits_are_a_pair_whose_source_is_stated() -> None:
    fake = fake_row("a", split="test", source_video="toy/camera/a")
    (pair,) = near_duplicates(summaries(video_row("a"), fake))
    assert pair.is_stated
    unstated = fake_row("a", split="test")
    assert not near_duplicates(summaries(video_row("a"), unstated))[0].is_stated


def test_videos_of_equal_faces_are_told_by_those_alone() -> None:
    same = {"faces_digest": "f"}
    table = summaries(video_row("a", **same), video_row("b", split="test", **same))
    assert near_duplicates(table) == ()


def test_a_thousand_copies_are_no_million_pairs() -> None:
    rows = [video_row(f"{n:04d}", split=("train", "test")[n % 2]) for n in range(1000)]
    assert len(near_duplicates(summaries(*rows))) == MOST_OF_A_HASH**2


def test_videos_of_the_time_before_have_no_pair() -> None:
    assert (
        near_duplicates(summaries(video_row("a", hashes=None), video_row("b", split="test"))) == ()
    )
