"""Which picture is on screen at t0 + k / rate."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfray.faces.sampling import Evenly, Timeline, sample

MS = Fraction(1, 1000)


def timeline(ticks: list[int], time_base: Fraction = MS) -> Timeline:
    return Timeline(np.array(ticks, np.int64), time_base, None)


def ticks(times: list[int], rate_fps: float, time_base: Fraction = MS) -> list[int]:
    shown = timeline(times, time_base)
    return shown.ticks[sample(shown, rate_fps).pictures].tolist()


def test_the_last_picture_not_later_than_the_due_time_is_taken() -> None:
    assert ticks([0, 400, 990, 1010, 2000, 2300], 1.0) == [0, 990, 2000]


def test_time_runs_from_the_first_picture() -> None:
    assert ticks([500, 700, 900, 1499, 1500], 1.0) == [500, 1500]
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
    st.lists(st.integers(0, 4_000), min_size=1, max_size=40),
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


def test_stills_that_outlast_the_rest_of_the_video_count_once() -> None:
    jumping = [*range(0, 1000, 40), *range(3_000_000, 3_001_000, 40), 9_000_000]
    shown = timeline(jumping)
    samples = sample(shown, 1.0)
    assert shown.ticks[samples.pictures].tolist() == [0, 960, 3_000_040, 3_000_960]
    assert sorted(samples.shortened) == [24, 49]
    assert samples.shortened[24] == (
        "the picture stands for 2999.0 s in the timestamps, of which 1.0 s count"
    )
    assert shown.seconds(25) == 3000.0


def test_stills_up_to_half_of_a_video_count_in_full() -> None:
    shown = timeline([*range(0, 10_000, 100), *range(19_000, 24_000, 100)])
    samples = sample(shown, 1.0)
    assert len(samples.pictures) == 24
    assert samples.shortened == {}


def test_the_pictures_of_a_slide_show_are_all_sampled() -> None:
    samples = sample(timeline(list(range(0, 600_000, 30_000))), 1.0)
    assert samples.pictures.tolist() == list(range(20))


def test_the_stills_of_a_long_video_are_bounded_together() -> None:
    talk = np.concatenate([np.arange(0, 5_000_000, 1000), [9_000_000, 9_001_000]])
    samples = sample(timeline(talk.tolist()), 1.0)
    assert len(samples.pictures) == 5000 - 1 + 600 + 2


def evenly(n_pictures: int, count: int) -> list[int]:
    return sample(timeline(list(range(n_pictures))), Evenly(count)).pictures.tolist()


@pytest.mark.parametrize("n_pictures", [33, 100, 331, 1000])
def test_a_number_of_pictures_is_taken_where_deepfakebench_takes_them(n_pictures: int) -> None:
    theirs = np.linspace(0, n_pictures - 1, 32, endpoint=True, dtype=int).tolist()
    assert evenly(n_pictures, 32) == theirs


@given(st.integers(1, 5000), st.integers(1, 64))
def test_a_number_of_pictures_is_evenly_spaced_from_the_first_to_the_last(
    n_pictures: int, count: int
) -> None:
    found = evenly(n_pictures, count)
    assert len(found) == min(n_pictures, count)
    assert found[0] == 0
    assert count == 1 or found[-1] == n_pictures - 1
    steps = set(np.diff(found).tolist())
    assert len(steps) <= 2
    assert max(steps, default=0) - min(steps, default=0) <= 1


def test_a_number_of_pictures_does_not_depend_on_their_times() -> None:
    stills = timeline([0, 10, 20, 100_000, 100_010])
    samples = sample(stills, Evenly(3))
    assert (samples.pictures.tolist(), samples.shortened) == ([0, 2, 4], {})
