"""Sampling of a video's pictures, decided from their times before anything is decoded.

Sample k is the picture on screen at t0 + k / rate: the last one whose time is not later; t0 is the time of
the first picture in presentation order. The last sample is the last that is due no later than the last
picture, so durations, which containers often lack, are never needed. All arithmetic is exact: in whole ticks.

Where a number of samples is asked for in place of a rate, they are evenly spaced by the pictures' numbers,
from the first to the last, whatever their times: sample k of n is picture k * (N - 1) // (n - 1) of N, as
DeepfakeBench (arXiv 2307.01426) and SBI's code take them. A video of fewer pictures gives all of them.

A still, a picture that stands for longer than STILL_S, is often a jump in broken timestamps. When the stills
of a video last longer together than the rest of it, or than MAX_STILLS_S, each counts with an equal part of
what is allowed, and once at least.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dfray.config import FacesSection

STILL_S = 5
"""Seconds on screen from which on a picture is a still."""
MAX_STILLS_S = 600
"""Seconds that the stills of a video count together at most."""


@dataclass(frozen=True)
class Evenly:
    """Sampling of a number of pictures of each video, evenly spaced by their numbers."""

    count: int


Sampling = float | Evenly
"""Samples a second of video, or of each video."""


def sampling_of(settings: FacesSection) -> Sampling:
    """Return the sampling that a recipe's faces section asks for."""
    if settings.frames is not None:
        return Evenly(settings.frames)
    assert settings.rate_fps is not None, "the section's check"
    return settings.rate_fps


@dataclass(frozen=True)
class Timeline:
    """The times of a video's pictures, in presentation order.

    Attributes:
        ticks: int64 (N,), rising; N >= 1.
        time_base: seconds per tick.
        places: int64 (N,), place of each picture among the shown ones in decoding order; none if the
            container's timestamps do not tell it.
    """

    ticks: np.ndarray
    time_base: Fraction
    places: np.ndarray | None

    def seconds(self, picture: int) -> float:
        """Return the time of a picture from t0, in seconds."""
        return float(int(self.ticks[picture] - self.ticks[0]) * self.time_base)


@dataclass(frozen=True)
class Samples:
    """The sampled pictures of a video.

    Attributes:
        pictures: int64 (K,), number in presentation order of each sample's picture; K >= 1.
        shortened: for each still that counts less than it stands, why.
    """

    pictures: np.ndarray
    shortened: dict[int, str]


def sample(times: Timeline, sampling: Sampling) -> Samples:
    """Return the picture of each sample; at a rate a still picture may repeat."""
    if isinstance(sampling, Evenly):
        return Samples(_evenly(len(times.ticks), sampling.count), {})
    rate = max(Fraction(sampling).limit_denominator(1_000_000), Fraction(1, 1_000_000))
    step = 1 / (rate * times.time_base)
    ticks, shortened = _with_bounded_stills(times, step)
    count = int(int(ticks[-1]) / step) + 1
    due_ticks = [k * step.numerator // step.denominator for k in range(count)]
    return Samples(np.searchsorted(ticks, due_ticks, side="right") - 1, shortened)


def _evenly(n_pictures: int, count: int) -> np.ndarray:
    """Return numbers of `count` pictures from 0 to the last, or of all if there are fewer: int64."""
    count = min(count, n_pictures)
    return np.arange(count, dtype=np.int64) * (n_pictures - 1) // max(1, count - 1)


def _with_bounded_stills(times: Timeline, step: Fraction) -> tuple[np.ndarray, dict[int, str]]:
    """Return the ticks from t0 with stills that count as they may, and why some were shortened.

    Args:
        step: ticks from one sample to the next.
    """
    gaps = np.diff(times.ticks)
    stills = np.flatnonzero(gaps > int(STILL_S / times.time_base))
    stood = int(gaps[stills].sum())
    allowed = min(int(gaps.sum()) - stood, int(MAX_STILLS_S / times.time_base))
    shortened = {}
    if stood > allowed:
        bound = max(allowed // len(stills), -(-step.numerator // step.denominator))
        for still in stills[gaps[stills] > bound].tolist():
            stands_s, counts_s = (float(n * times.time_base) for n in (int(gaps[still]), bound))
            shortened[still] = (
                f"the picture stands for {stands_s:.1f} s in the timestamps, of which {counts_s:.1f} s count"
            )
        gaps[list(shortened)] = bound
    return np.concatenate([[0], np.cumsum(gaps)]), shortened
