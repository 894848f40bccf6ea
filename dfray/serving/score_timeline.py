"""Timeline of an input: the fake probability of each person over time, as lines of an SVG chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dfray.serving.examination import ScoredFace

WIDTH, HEIGHT = 1000, 260
"""Units of the chart's area."""
MAX_PERSONS = 6
"""Lines that are drawn, of the persons with the most faces; a table has all."""
SLOTS = 250
"""Parts of the time of which a line shows the lowest and the highest face each."""


@dataclass(frozen=True)
class Line:
    """Line of one person: its name, and the points (x, y, title) in units of the chart."""

    person: int
    points: Sequence[tuple[float, float, str]]

    @property
    def path(self) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in self.points)


@dataclass(frozen=True)
class Timeline:
    """The chart.

    Attributes:
        ticks: (x, text) of the time axis.
        threshold_y: where the threshold lies.
        unit: of the axis: seconds, or frames of an input without a clock.
    """

    lines: Sequence[Line]
    ticks: Sequence[tuple[float, str]]
    threshold_y: float
    unit: str


def timeline(faces: Sequence[ScoredFace], threshold: float) -> Timeline | None:
    """Return the chart of an input's faces; None if they are all of one moment."""
    has_clock = any(face.time_s for face in faces)
    times = [_time(face, has_clock) for face in faces]
    if not faces or min(times) == max(times):
        return None
    start, end = min(times), max(times)
    persons, counts = np.unique([face.person for face in faces], return_counts=True)
    shown = sorted(persons[np.argsort(-counts, kind="stable")][:MAX_PERSONS].tolist())
    lines = []
    for person in shown:
        of_person = [face for face in faces if face.person == person]
        points = [
            (
                WIDTH * (_time(face, has_clock) - start) / (end - start),
                _y(face.fake_probability),
                f"person {person + 1}, {moment_name(face)}: {face.fake_probability:.3f}",
            )
            for face in of_person
        ]
        lines.append(Line(person, _thinned(points)))
    ticks = [(WIDTH * (t - start) / (end - start), f"{t:g}") for t in _ticks(start, end)]
    return Timeline(lines, ticks, _y(threshold), "s" if has_clock else "frames")


def moment_name(face: ScoredFace) -> str:
    """Return the time of a face's picture as text; its frame's number where there is no clock."""
    if face.time_s is None:
        return f"frame {face.frame_index}"
    minutes, seconds = divmod(round(face.time_s, 2), 60)
    return f"{int(minutes)}:{seconds:05.2f}"


def _time(face: ScoredFace, has_clock: bool) -> float:
    return face.time_s or 0.0 if has_clock else float(face.frame_index)


def _y(probability: float) -> float:
    return HEIGHT * (1 - min(max(probability, 0.0), 1.0))


def _thinned(points: list[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Return of each slot of the time the lowest and the highest point, if there are more."""
    if len(points) <= 2 * SLOTS:
        return points
    slots: dict[int, list[tuple[float, float, str]]] = {}
    for point in points:
        slots.setdefault(int(point[0] / WIDTH * SLOTS), []).append(point)
    kept = set()
    for of_slot in slots.values():
        kept |= {min(of_slot, key=lambda p: p[1]), max(of_slot, key=lambda p: p[1])}
    return [point for point in points if point in kept]


def _ticks(start: float, end: float) -> list[float]:
    """Return up to ten round numbers from start to end."""
    rough = (end - start) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = float(next(power * m for m in (1, 2, 5, 10) if power * m >= rough))
    count = int(np.floor(end / step + 1e-9))
    return [round(step * k, 6) for k in range(int(np.ceil(start / step - 1e-9)), count + 1)]
