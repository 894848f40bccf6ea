"""Which picture is on screen at t0 + k / rate."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfray.faces.sampling import sample_ticks, timeline

MS = Fraction(1, 1000)


def ticks(timestamps: list[int], rate_fps: float, time_base: Fraction = MS) -> list[int]:
    return sample_ticks(timeline(timestamps, time_base, None), rate_fps).tolist()


def test_the_last_picture_not_later_than_the_due_time_is_taken() -> None:
    assert ticks([0, 400, 990, 1010, 2000, 2300], 1.0) == [0, 990, 2000]


def test_time_runs_from_the_first_timestamp_in_presentation_order() -> None:
    assert ticks([500, 900, 700, 1500, 1499], 1.0) == [500, 1500]
    assert ticks([-80, 0, 920], 1.0) == [-80, 920]


def test_a_single_picture_is_sampled_once() -> None:
    assert ticks([7], 1.0) == [7]


def test_a_picture_that_stands_still_is_on_screen_at_every_due_time() -> None:
    assert ticks([0, 100, 3100], 1.0) == [0, 100, 100, 100]


def test_the_end_is_the_last_timestamp_not_the_end_of_the_last_picture() -> None:
    assert ticks(list(range(0, 2000, 40)), 1.0) == [0, 1000]


@pytest.mark.parametrize("rate", [24, 25, 29.97, 30, 60, 1 / 3, 0.3])
def test_rounding_never_takes_the_neighbour(rate: float) -> None:
    exact = Fraction(rate).limit_denominator(1000)
    base = Fraction(1, exact.numerator)
    every = [k * exact.denominator for k in range(1000)]
    assert ticks(every, rate, base) == every


@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=40),
    st.sampled_from([0.1, 1 / 3, 1.0, 2.5, 29.97]),
)
def test_every_sample_is_what_the_definition_says(times: list[int], rate: float) -> None:
    times = sorted(times)
    exact = Fraction(rate).limit_denominator(1_000_000)
    expected, k = [], 0
    while times[0] + k / exact / MS <= times[-1]:
        expected.append(max(t for t in times if t <= times[0] + k / exact / MS))
        k += 1
    assert ticks(times, rate) == expected


@pytest.mark.parametrize(
    "timestamps",
    [[0, None, 80, 120], [0, 40, 80, 10**9], [*range(0, 4000, 40), *range(0, 4000, 40)]],
    ids=["missing", "jumping", "starting anew"],
)
def test_timestamps_that_cannot_be_used_give_way_to_counting(timestamps: list[int | None]) -> None:
    shown = timeline(timestamps, MS, Fraction(25))
    assert shown.is_counted
    assert shown.ticks.tolist() == list(range(len(timestamps)))
    assert shown.seconds(2) == pytest.approx(0.08)


def test_reordering_within_a_codecs_reach_is_no_fault() -> None:
    decoding_order = np.arange(64).reshape(4, 16)[:, ::-1].ravel() * 40
    shown = timeline(decoding_order.tolist(), MS, None)
    assert not shown.is_counted
    assert shown.ticks.tolist() == list(range(0, 64 * 40, 40))
