"""Damaged pictures, and those that build on them.

What is decoded after lost or damaged data is torn until the next clean start. Told are, and by what:

    packets lost from a transport stream   FFmpeg's marks of incomplete packets, in every codec
    missing pictures                       their numbers in H.264, MPEG-1 and -2; references in HEVC and AV1;
                                           the order in MPEG-4 with B-pictures; in part by libvpx in VP9
    damaged bytes                          checksums of FFmpeg's .mkv, in every codec; the decoders of MPEG-1,
                                           -2, -4, AV1 and VP9 nearly always, that of H.264 most often
    parts of a file never written          their zeros, in HEVC, H.264 and VP9; decoders as above

Nothing tells of damaged bytes in VP8, and seldom of those in HEVC, outside of such .mkv files; of missing
pictures in VP8, in MPEG-4 without B-pictures, in VP9 that adapts no probabilities. A gap in the container's
times is no sign: cameras and encoders leave out pictures, too.
"""

from __future__ import annotations

import bisect

import numpy as np

from dfray.faces.video_index import VideoIndex

DAMAGED = "the picture is damaged"
TORN = "the picture builds on a damaged one"
_LOST = "data of the picture, or of one that it builds on, were lost"


class Damage:
    """The damaged pictures of one video, as far as they are known."""

    def __init__(self, index: VideoIndex) -> None:
        self._packets = index.packets
        self._first = int(index.shown_packets[0])
        self._n_lost_before = np.concatenate([[0], np.cumsum(index.packets.is_damaged)])
        self._damaged: list[int] = []  # sorted
        self._faults: dict[int, str] = {}

    def add(self, packet: int, fault: str) -> None:
        """Note that a packet's picture is damaged."""
        if packet < self._first or not self._packets.is_shown[packet]:
            return
        self._faults.setdefault(packet, fault)
        if not self._packets.is_droppable[packet]:
            bisect.insort(self._damaged, packet)

    def was_lost(self, packet: int) -> bool:
        """Return True if the container tells of data lost in the picture or in one that it builds on."""
        if self._packets.has_hole[packet]:
            return True
        since = max(self._first, int(self._packets.clean_since[packet]))
        return bool(self._n_lost_before[packet + 1] > self._n_lost_before[since])

    def why(self, packet: int) -> str | None:
        """Return why the picture of a packet is damaged; none if it is not, as far as it is known."""
        if packet in self._faults:
            return self._faults[packet]
        if self.was_lost(packet):
            return _LOST
        n_before = bisect.bisect_left(self._damaged, packet)
        if n_before and self._damaged[n_before - 1] >= self._packets.clean_since[packet]:
            return TORN
        return None
