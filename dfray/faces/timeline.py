"""Times of a video's pictures, from what its container states about their packets.

Most containers state when each picture is shown. Some state only when each is decoded (AVI), and files made
of those pass it on as if it were the time of presentation; others round to milliseconds, or state nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from dfray.faces.sampling import Timeline

MAX_REORDER = 16
"""Codecs show a picture at most so many places from where it is decoded (H.264 and HEVC: 16)."""
NO_TIME = -(2**63)
"""A timestamp that is not stated (FFmpeg's AV_NOPTS_VALUE)."""
DEFAULT_RATE = Fraction(25)
"""Pictures a second where the container states neither times nor a rate."""
_ROUNDING = 1.1
"""Ticks between the earliest and the latest of times that were rounded to whole ones, with some tolerance."""
_NEAR = 2e-4
"""Relative difference of a stated rate from the one that it is rounded from: 23.98 for 24000/1001."""
_LEAST_PERIOD = 4
"""Ticks between pictures below which any times would look like rounded ones."""


def presentation_timeline(
    timestamps: Sequence[int] | np.ndarray, time_base: Fraction, rates: Sequence[Fraction] = ()
) -> Timeline | None:
    """Return the timeline of pictures with these presentation times, in decoding order; at least one.

    Args:
        timestamps: int64 (N,), NO_TIME where there is none.
        rates: pictures a second that the container states or suggests.

    Returns:
        None if times are missing, or start anew in mid-stream.
    """
    decoded = np.asarray(timestamps, np.int64)
    order = np.argsort(decoded, kind="stable")
    reorder = np.abs(order - np.arange(len(order))).max()
    if (decoded == NO_TIME).any() or reorder > MAX_REORDER:
        return None
    return _unrounded(Timeline(decoded[order], time_base, order), rates)


def decoding_timeline(
    timestamps: Sequence[int] | np.ndarray,
    time_base: Fraction,
    delay: int,
    rates: Sequence[Fraction] = (),
) -> Timeline:
    """Return the timeline of pictures whose decoding times alone are known; at least one.

    A decoder gives a picture out as soon as `delay` further ones are decoded, so the k-th picture shown has
    the decoding time of packet k + delay. The last ones follow at the container's rate.

    Args:
        timestamps: int64 (N,), of decoding, NO_TIME where there is none. If they do not rise, pictures are
            counted at the first of `rates`, or 25 a second.
        delay: pictures that the decoder keeps back.
    """
    decoded = np.asarray(timestamps, np.int64)
    rate = next(iter(rates), DEFAULT_RATE)
    if (decoded == NO_TIME).any() or (np.diff(decoded) <= 0).any() or len(decoded) <= delay:
        return counted_timeline(len(decoded), rate)
    step = max(1, round(1 / (rate * time_base)))
    last = decoded[-1] + step * np.arange(1, delay + 1)
    ticks = np.concatenate([decoded[delay:], last])
    return _unrounded(Timeline(ticks, time_base, None), rates)


def counted_timeline(n: int, rate: Fraction = DEFAULT_RATE) -> Timeline:
    """Return the timeline of n pictures of which no times are known, at `rate` pictures a second."""
    return Timeline(np.arange(n, dtype=np.int64), 1 / rate, None)


def _unrounded(times: Timeline, rates: Sequence[Fraction]) -> Timeline:
    """Return the timeline with times on the grid of one of `rates`, if they are rounded from such times.

    Matroska rounds to whole milliseconds: a picture due at 66.67 ms is stated at 67, and would come too late.
    """
    for rate in _with_standards(rates):
        period = 1 / (rate * times.time_base)
        if period.denominator == 1 or period < _LEAST_PERIOD:
            continue
        elapsed = times.ticks - times.ticks[0]
        numbers = np.rint(elapsed * float(1 / period)).astype(np.int64)
        off = elapsed - numbers * float(period)
        if off.max() - off.min() <= _ROUNDING and (np.diff(numbers) > 0).all():
            return Timeline(numbers, 1 / rate, times.places)
    return times


def _with_standards(rates: Sequence[Fraction]) -> list[Fraction]:
    """Return `rates` with the whole ones, and those of NTSC, that they may be rounded from."""
    whole_rates = [Fraction(max(1, round(rate))) for rate in rates]
    standards = {*whole_rates, *(rate * Fraction(1000, 1001) for rate in whole_rates)}
    near = [s for s in sorted(standards) if any(abs(rate / s - 1) < _NEAR for rate in rates)]
    return [*rates, *near]
