"""Packets that a decoder needs for the pictures that are due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dfray.faces.video_index import VideoIndex


@dataclass(frozen=True)
class DecodingPlan:
    """Packets to be decoded, all arrays over the packets in decoding order.

    Attributes:
        is_sent: bool (N,), the decoder needs it.
        is_due: bool (N,), its picture is due.
        is_break: bool (N,), decoding begins anew there.
    """

    is_sent: np.ndarray
    is_due: np.ndarray
    is_break: np.ndarray


def plan_decoding(index: VideoIndex, pictures: Sequence[int]) -> DecodingPlan:
    """Return the packets that the due pictures need: from the start before each of them up to it.

    Pictures that no other needs are left out, and so are the leading pictures of a start where decoding
    begins. Where only the decoder's order tells which picture is which, all are needed.

    Args:
        pictures: those that are due, numbered in presentation order.
    """
    packets = index.packets
    n = len(packets)
    if index.times.places is None:
        everything = np.arange(n) >= packets.start[index.shown_packets[0]]
        return DecodingPlan(everything, everything, np.zeros(n, bool))
    due_packets = index.shown_packets[index.times.places[np.asarray(pictures, np.int64)]]
    is_due = np.zeros(n, bool)
    is_due[due_packets] = True
    is_covered = _covered(packets.start[due_packets], due_packets, n)
    is_first = is_covered & ~np.concatenate([[False], is_covered[:-1]])
    since = np.maximum.accumulate(np.where(is_first, np.arange(n), -1))
    is_sent = is_covered & (packets.start >= since) & (is_due | ~packets.is_droppable)
    return DecodingPlan(is_sent, is_due, is_first & (np.arange(n) > 0))


def _covered(starts: np.ndarray, ends: np.ndarray, n: int) -> np.ndarray:
    """Return the mask of n places that lie between one of `starts` and its end, both included."""
    steps = np.zeros(n + 1, np.int64)
    np.add.at(steps, starts, 1)
    np.add.at(steps, ends + 1, -1)
    return np.cumsum(steps[:n]) > 0
