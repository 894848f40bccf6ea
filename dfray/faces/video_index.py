"""Index of a video file: its packets, its pictures and their times, read before anything is sampled."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from dfray.faces.containers import lacks_its_end, shortfall, stated_duration_s
from dfray.faces.matroska import damaged_clusters
from dfray.faces.opening import Opening, look_at_opening
from dfray.faces.packet_table import PacketTable, read_packets
from dfray.faces.sampling import Timeline
from dfray.faces.sources import UnreadableSourceError
from dfray.faces.timeline import MAX_REORDER, NO_TIME, decoding_timeline, presentation_timeline

_LEAST_RATE = 1
"""Pictures a second below which a stated rate follows from jumps in the timestamps."""
MAX_UNTIMED = 0.1
"""Share of packets without a time up to which they are no pictures, but rests of those that were lost."""
_GUESSED = ("h264", "hevc")
"""Codecs whose packets do not tell at once in which order their pictures are shown."""


@dataclass(frozen=True)
class VideoIndex:
    """A video file without its pixels.

    Attributes:
        packets: all packets of the stream.
        shown_packets: int64 (N,), packets of the pictures that are shown, in decoding order.
        times: of those pictures, in presentation order.
        broken_off: why the file ends early; none if it does not.
    """

    packets: PacketTable
    shown_packets: np.ndarray
    times: Timeline
    broken_off: str | None

    @property
    def is_timed(self) -> bool:
        """True if timestamps tell which picture a frame is; else only the decoder's order does."""
        return self.times.places is not None

    def packet_of(self, picture: int) -> int:
        """Return the packet of a picture, if the video is timed."""
        assert self.times.places is not None
        return int(self.shown_packets[self.times.places[picture]])

    def pts_of(self, picture: int) -> int:
        """Return the container's timestamp of a picture, in ticks, if the video is timed."""
        return int(self._stamps[picture])

    def picture_at(self, pts: int) -> int | None:
        """Return the picture with this timestamp in ticks, if the video is timed; none if there is none."""
        picture = int(np.searchsorted(self._stamps, pts, side="right")) - 1
        return picture if picture >= 0 and self._stamps[picture] == pts else None

    @functools.cached_property
    def _stamps(self) -> np.ndarray:
        """int64 (N,), the timestamps of the pictures in presentation order."""
        stamps: np.ndarray = self.packets.pts[self.shown_packets[self.times.places]]
        return stamps


def read_index(
    path: str,
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    on_packet: Callable[[], None],
) -> VideoIndex:
    """Return the index of the video at `path`, which is open as `container`.

    Args:
        on_packet: called for every packet read.

    Raises:
        UnreadableSourceError: there is no picture.
    """
    is_cut_off, stated_s = lacks_its_end(container, stream), stated_duration_s(container, stream)
    is_matroska = "matroska" in container.format.name
    damaged = damaged_clusters(path, on_packet) if is_matroska else []
    table = read_packets(container, stream, on_packet, damaged)
    broken_off = table.broken_off or ("the file is cut off" if is_cut_off else None)
    if not table.is_shown.any():
        raise UnreadableSourceError(broken_off or "has no pictures")
    reached_s = float(table.end * stream.time_base)
    broken_off = shortfall(path, stated_s, reached_s, on_packet) or broken_off
    shown_packets, times = _pictures(path, stream, table, on_packet)
    return VideoIndex(table, shown_packets, times, broken_off)


def _pictures(
    path: str,
    stream: av.video.stream.VideoStream,
    table: PacketTable,
    on_packet: Callable[[], None],
) -> tuple[np.ndarray, Timeline]:
    """Return the packets of the pictures that are shown, in decoding order, and their timeline."""
    rates, reorders = _rates(stream), stream.codec_context.has_b_frames
    codec, is_avi = stream.codec.canonical_name, stream.container.format.name == "avi"
    must_look = is_avi and codec in _GUESSED
    opening = look_at_opening(path, table, codec, reorders, on_packet, must_look)
    shown_packets = _shown(table, opening, codec)
    pts, dts = table.pts[shown_packets], table.dts[shown_packets]
    if is_avi and not reorders and (np.diff(pts) > 0).all():
        pts = dts
    if opening.rises and not (is_avi and reorders and _are_guessed(dts, codec)):
        times = presentation_timeline(pts, stream.time_base, rates)
        if times is not None:
            return shown_packets, times
    return shown_packets, decoding_timeline(dts, stream.time_base, opening.delay, rates)


def _shown(table: PacketTable, opening: Opening, codec: str) -> np.ndarray:
    """Return the packets whose pictures are shown: none before the first that can be decoded."""
    first = opening.first
    if codec != "h264":  # whose decoder knows more beginnings than the packets tell
        first = max(first, int(np.argmax(table.clean_since >= 0)))
    is_shown = table.is_shown & (np.arange(len(table)) >= first)
    if opening.rises:
        is_untimed = table.pts == NO_TIME
        near = slice(first, _end_of_leading(table, first))
        is_shown[near] &= (table.pts[near] >= table.pts[first]) | is_untimed[near]
        if is_untimed[is_shown].mean() <= MAX_UNTIMED:
            is_shown &= ~is_untimed
    return np.flatnonzero(is_shown)


def _end_of_leading(table: PacketTable, first: int) -> int:
    """Return the end of the packets among which those may be that are shown before the first one decoded.

    Earlier times further on are those of a stream that starts anew, as in files that were joined.
    """
    end = min(first + 1 + MAX_REORDER, len(table))
    numbers = np.arange(first + 1, end)
    starts = numbers[table.clean_since[first + 1 : end] == numbers]
    return int(starts[0]) if len(starts) else end


def _are_guessed(dts: np.ndarray, codec: str) -> bool:
    """Return True if times of reordered pictures in an AVI file are FFmpeg's guesses, and wrong ones.

    AVI has times of decoding alone. The guess fails where pictures were dropped; for some codecs everywhere.
    """
    return codec in _GUESSED or bool((np.diff(dts) != 1).any())


def _rates(stream: av.video.stream.VideoStream) -> list[Fraction]:
    """Return the rates that the container states or suggests, in pictures a second."""
    stated = (stream.average_rate, stream.guessed_rate, stream.base_rate)
    return list(dict.fromkeys(rate for rate in stated if rate and rate >= _LEAST_RATE))
