"""First pictures of a video as the decoder gives them out.

A stream that was cut in its middle begins with packets whose pictures cannot be decoded and are never shown.
Where the container's times are those of decoding, the decoder's order shows it. Most files need no such look.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import av
import numpy as np

from dfray.faces.containers import open_video, packets
from dfray.faces.packet_table import PacketTable
from dfray.faces.timeline import NO_TIME

_FRAMES = 48
"""Pictures decoded to see whether their times rise: more than any codec keeps back."""


@dataclass(frozen=True)
class Opening:
    """The beginning of a video.

    Attributes:
        first: packet of the first picture shown; those before it are never shown.
        delay: pictures that the decoder keeps back before it gives one out.
        rises: the decoder gives pictures out in the order of the container's times.
    """

    first: int = 0
    delay: int = 0
    rises: bool = True


def look_at_opening(
    path: str,
    table: PacketTable,
    codec: str,
    reorders: bool,
    on_packet: Callable[[], None],
    must_look: bool = False,
) -> Opening:
    """Return what the first pictures of the video at `path` show; they are decoded only if it takes that.

    Args:
        codec: FFmpeg's canonical name.
        reorders: the decoder gives pictures out in another order than it takes them in.
        on_packet: called for every packet read.
        must_look: decode them in any case.
    """
    first = int(np.argmax(table.is_shown))
    pts = table.pts[table.is_shown]
    # A reordered picture has a later time than the next; MPEG-4 may pack both into one packet.
    hides_order = codec == "mpeg4" or bool((np.diff(pts) > 0).all())
    if must_look or (reorders and hides_order) or (pts == NO_TIME).any():
        return _opening(_decoded(path, on_packet, _FRAMES), table, codec)
    if table.clean_since[first] != first or pts[0] > pts.min():
        return _opening(_decoded(path, on_packet, 1), table, codec)
    return Opening(first)


def _opening(arrivals: list[_Arrival], table: PacketTable, codec: str) -> Opening:
    if codec != "h264":
        # Other decoders also give out what they make of the pictures before the first start.
        clean = [arrival for arrival in arrivals if table.clean_since[arrival.packet(table)] >= 0]
        arrivals = clean or arrivals
    if not arrivals:
        return Opening()
    first, times = arrivals[0].packet(table), [arrival.pts for arrival in arrivals]
    rises = all(a is not None and b is not None and a < b for a, b in itertools.pairwise(times))
    return Opening(first, max(0, arrivals[0].n_sent - 1 - first), rises)


@dataclass(frozen=True)
class _Arrival:
    """A frame that the decoder gave out after so many packets, with its timestamp in ticks."""

    n_sent: int
    pts: int | None

    def packet(self, table: PacketTable) -> int:
        """Return the packet of the frame; the first one if its time is not known."""
        return 0 if self.pts is None else int(np.argmax(table.pts == self.pts))


def _decoded(path: str, on_packet: Callable[[], None], n_frames: int) -> list[_Arrival]:
    """Return the first frames that the decoder gives out."""
    arrivals: list[_Arrival] = []
    with open_video(path) as (container, stream), contextlib.suppress(av.FFmpegError):
        context = stream.codec_context
        context.thread_count = 1
        n_sent = 0
        for packet in itertools.chain(packets(container, stream, on_packet), [None]):
            n_sent += packet is not None
            with contextlib.suppress(av.FFmpegError):
                arrivals += [_Arrival(n_sent, frame.pts) for frame in context.decode(packet)]
            if len(arrivals) >= n_frames:
                break
    return arrivals[:n_frames]
