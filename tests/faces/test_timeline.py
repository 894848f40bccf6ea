"""Times of pictures from what containers state."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from dfray.faces.sampling import sample
from dfray.faces.timeline import NO_TIME, decoding_timeline, presentation_timeline

MS = Fraction(1, 1000)


def test_pictures_are_put_in_the_order_of_their_times() -> None:
    shown = presentation_timeline([0, 160, 80, 40, 120], MS)
    assert shown is not None
    assert shown.ticks.tolist() == [0, 40, 80, 120, 160]
    assert shown.places is not None
    assert shown.places.tolist() == [0, 3, 2, 4, 1]


def test_reordering_within_a_codecs_reach_is_no_fault() -> None:
    decoding_order = np.arange(64).reshape(4, 16)[:, ::-1].ravel() * 40
    shown = presentation_timeline(decoding_order, MS)
    assert shown is not None
    assert shown.ticks.tolist() == list(range(0, 64 * 40, 40))


@pytest.mark.parametrize(
    "timestamps",
    [[0, NO_TIME, 80, 120], [*range(0, 4000, 40), *range(0, 4000, 40)]],
    ids=["missing", "starting anew"],
)
def test_timestamps_that_cannot_be_used_are_refused(timestamps: list[int]) -> None:
    assert presentation_timeline(timestamps, MS) is None


def test_a_picture_has_the_decoding_time_of_the_packet_that_lets_it_out() -> None:
    shown = decoding_timeline([0, 1, 2, 5, 6, 7], Fraction(1, 25), delay=2, rates=[Fraction(25)])
    assert shown.places is None
    assert (shown.ticks - shown.ticks[0]).tolist() == [0, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("timestamps", [[0, 1, NO_TIME, 3], [0, 1, 0, 1]])
def test_without_any_times_pictures_are_counted(timestamps: list[int]) -> None:
    shown = decoding_timeline(timestamps, MS, delay=0, rates=[Fraction(50)])
    assert shown.places is None
    assert [shown.seconds(k) for k in range(4)] == pytest.approx([0, 0.02, 0.04, 0.06])


@pytest.mark.parametrize(
    "rate", [Fraction(30), Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60)]
)
def test_times_rounded_to_milliseconds_get_their_exact_values_back(rate: Fraction) -> None:
    rounded = [round(n / rate * 1000) for n in range(1000) if n % 7 != 3]
    shown = presentation_timeline(rounded, MS, [Fraction(25), rate])
    assert shown is not None
    assert shown.time_base == 1 / rate
    assert shown.ticks.tolist() == [n for n in range(1000) if n % 7 != 3]
    at_rate = sample(
        presentation_timeline([round(n / rate * 1000) for n in range(150)], MS, [rate]), float(rate)
    )
    assert at_rate.pictures.tolist() == list(range(150))


def test_a_rate_that_the_container_rounds_is_recognised() -> None:
    ntsc = Fraction(30000, 1001)
    hours = [round(n / ntsc * 1000) for n in range(100_000)]
    shown = presentation_timeline(hours, MS, [Fraction(2997, 100)])
    assert shown is not None
    assert shown.time_base == 1 / ntsc


def test_times_of_a_varying_rate_stay_as_stated() -> None:
    stated = [0, 33, 67, 104, 131, 170]
    shown = presentation_timeline(stated, MS, [Fraction(30)])
    assert shown is not None
    assert shown.ticks.tolist() == stated
