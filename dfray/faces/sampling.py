"""Sampling of a video's pictures, decided from its timestamps before anything is decoded.

Sample k is the picture on screen at t0 + k / rate: the last one whose timestamp is not later; t0 is the
first timestamp in presentation order. The last sample is the last that is due no later than the last
timestamp, so durations, which containers often lack, are never needed. All arithmetic is exact: in
whole ticks of the container's time base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

MAX_GAP_S = 3600
"""A picture that stands still for longer is a broken timestamp."""
MAX_REORDER = 16
"""Codecs show a picture at most so many places from where it is decoded (H.264 and HEVC: 16)."""


@dataclass(frozen=True)
class Timeline:
    """The times at which the pictures of a video are times.

    Attributes:
        ticks: int64 (N,), timestamps in presentation order; N >= 1.
        time_base: seconds per tick.
        is_counted: the container's timestamps cannot be used; ticks are picture numbers in
            presentation order, and the time base is that of the average rate.
    """

    ticks: np.ndarray
    time_base: Fraction
    is_counted: bool

    def seconds(self, tick: int) -> float:
        """Return the time of a tick from t0, in seconds."""
        return float((tick - int(self.ticks[0])) * self.time_base)


def timeline(
    timestamps: Sequence[int | None], time_base: Fraction, average_rate: Fraction | None
) -> Timeline:
    """Return the timeline of pictures with these timestamps, in decoding order; at least one.

    Timestamps that are missing, start anew, or jump by more than an hour are replaced by picture
    numbers at the average rate (25 a second where the container does not state it).
    """
    stated = [tick for tick in timestamps if tick is not None]
    if len(stated) == len(timestamps):
        decoded = np.array(stated, np.int64)
        order = np.argsort(decoded, kind="stable")
        ticks = decoded[order]
        reorder = np.abs(order - np.arange(len(order))).max()
        if reorder <= MAX_REORDER and np.all(np.diff(ticks) <= MAX_GAP_S / time_base):
            return Timeline(ticks, time_base, is_counted=False)
    rate = average_rate or Fraction(25)
    return Timeline(np.arange(len(timestamps), dtype=np.int64), 1 / rate, is_counted=True)


def sample_ticks(times: Timeline, rate_fps: float) -> np.ndarray:
    """Return the tick of each sample's picture: int64 (K,), K >= 1; a still picture may repeat."""
    rate = max(Fraction(rate_fps).limit_denominator(1_000_000), Fraction(1, 1_000_000))
    step = 1 / (rate * times.time_base)
    first, last = int(times.ticks[0]), int(times.ticks[-1])
    count = int((last - first) / step) + 1
    due_ticks = [first + k * step.numerator // step.denominator for k in range(count)]
    return times.ticks[np.searchsorted(times.ticks, due_ticks, side="right") - 1]
