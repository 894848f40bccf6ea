"""Pictures that are missing from a stream, told by those that are there.

A container that was written from a stream with losses, or that lost a part itself, may hold sound packets
alone. H.264 numbers its pictures, which its reader notices; decoders tell of those that HEVC misses. This is
for MPEG-1, -2 and -4. Where each picture needs the one before and none is numbered (MPEG-4 without
B-pictures, VP8), nothing tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dfray.faces.coded import Coded
from dfray.faces.timeline import NO_TIME

_NUMBERS = 1024
"""After so many pictures numbers begin with 0 again (temporal_reference, ISO/IEC 13818-2, 6.3.9)."""


def lacks_pictures(coded: Sequence[Coded], pts: np.ndarray) -> np.ndarray:
    """Return the mask of packets whose pictures may need one that is missing, bool (N,).

    Args:
        pts: int64 (N,), times of presentation in ticks, NO_TIME where none is stated.
    """
    lacks = _lacks_next(coded, pts)
    steps = list(_steps(coded))
    usual = max((step for _, step, n_between in steps if n_between == step - 1), default=1)
    for packet, step, n_between in steps:
        # In a step as long as others, a picture between is missing, which no other needs.
        lacks[packet] |= n_between < step - 1 and step > usual
    return lacks


def _lacks_next(coded: Sequence[Coded], pts: np.ndarray) -> np.ndarray:
    """Return the mask of pictures between two of which the later one, decoded before them, is missing."""
    lacks = np.zeros(len(coded), bool)
    latest = NO_TIME
    for packet, (row, time) in enumerate(zip(coded, pts.tolist(), strict=True)):
        if not row.is_between:
            latest = time
        elif latest != NO_TIME:
            lacks[packet] = time > latest
    return lacks


def _steps(coded: Sequence[Coded]) -> Iterator[tuple[int, int, int]]:
    """Yield (packet, step, pictures between) of each picture that others may need.

    The step is that of the numbers, from the last such picture of its group.
    """
    packet = step = n_between = 0
    last: int | None = None
    for at, row in enumerate(coded):
        if row.number is None or (row.number == last and not row.opens_group):  # a second field
            continue
        if row.is_between:
            n_between += 1
            continue
        if step:
            yield packet, step, n_between
        packet, step, n_between = at, 0, 0
        if last is not None and not row.opens_group:
            step = (row.number - last) % _NUMBERS
            step = step if step <= _NUMBERS // 2 else 0
        last = row.number
    if step:
        yield packet, step, n_between
