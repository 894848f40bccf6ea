"""The timeline has a line for each person, on the clock of the video, at the height of its probability."""

from __future__ import annotations

import pytest

from dfray.serving.examination import ScoredFace
from dfray.serving.score_timeline import (
    HEIGHT,
    MAX_PERSONS,
    SLOTS,
    WIDTH,
    moment_name,
    timeline,
)


def face(frame: int, time_s: float | None, person: int = 0, value: float = 0.5) -> ScoredFace:
    return ScoredFace(frame, person, time_s, person, (0, 0, 9, 9), 99, 99, value, 1, 1, 1)


def test_points_lie_at_their_time_and_probability() -> None:
    faces = [face(0, 2.0, value=1.0), face(1, 3.0, value=0.25), face(2, 6.0, value=0.0)]
    chart = timeline(faces, 0.75)
    assert chart is not None
    (line,) = chart.lines
    assert [(x, y) for x, y, _ in line.points] == [
        (0, 0),
        (WIDTH / 4, HEIGHT * 0.75),
        (WIDTH, HEIGHT),
    ]
    assert line.points[1][2] == "person 1, 0:03.00: 0.250"
    assert (chart.threshold_y, chart.unit) == (HEIGHT / 4, "s")
    assert chart.ticks[0] == (0, "2")
    assert chart.ticks[-1] == (WIDTH, "6")


def test_each_person_has_a_line_up_to_those_with_the_most_faces() -> None:
    faces = [face(k, k / 2, person) for k in range(10) for person in range(9) if k < 10 - person]
    chart = timeline(faces, 0.5)
    assert chart is not None
    assert [line.person for line in chart.lines] == list(range(MAX_PERSONS))


def test_pictures_without_a_clock_go_by_their_frames() -> None:
    chart = timeline([face(0, None), face(4, None)], 0.5)
    assert chart is not None
    assert (chart.unit, chart.ticks[-1]) == ("frames", (WIDTH, "4"))
    assert moment_name(face(4, None)) == "frame 4"


def test_one_moment_is_no_chart() -> None:
    assert timeline([], 0.5) is None
    assert timeline([face(0, 0.0), face(0, 0.0, person=1)], 0.5) is None


def test_a_long_video_is_thinned_and_keeps_its_peaks() -> None:
    faces = [
        face(k, k / 2, value=0.99 if k == 4321 else 0.01 if k == 1234 else 0.5) for k in range(9000)
    ]
    chart = timeline(faces, 0.5)
    assert chart is not None
    (line,) = chart.lines
    assert len(line.points) <= 2 * (SLOTS + 1)
    assert min(y for _, y, _ in line.points) == pytest.approx(HEIGHT * 0.01)
    assert max(y for _, y, _ in line.points) == pytest.approx(HEIGHT * 0.99)


def test_times_are_minutes_and_seconds() -> None:
    assert [moment_name(face(0, t)) for t in (0.0, 59.999, 75.5)] == [
        "0:00.00",
        "1:00.00",
        "1:15.50",
    ]
