"""First pictures of a video as the decoder gives them out.

A stream that was cut in its middle begins with packets whose pictures cannot be decoded and are never shown.
Where the container's times are those of decoding, the decoder's order shows it. Most files need no such look.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
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
    path: str, table: PacketTable, codec: str, reorders: bool, must_look: bool = False
) -> Opening:
    """Return what the first pictures of the video at `path` show; they are decoded only if it takes that.

    Args:
        codec: FFmpeg's canonical name.
        reorders: the decoder gives pictures out in another order than it takes them in.
        must_look: decode them in any case.
    """
    shown = np.flatnonzero(table.is_shown)
    pts = table.pts[shown]
    # A reordered picture has a later time than the next; MPEG-4 may pack both into one packet.
    hides_order = codec == "mpeg4" or bool((np.diff(pts) > 0).all())
    if must_look or (reorders and hides_order) or (pts == NO_TIME).any():
        return _look(path, table, codec, _FRAMES)
    if table.clean_since[shown[0]] != shown[0] or pts[0] > pts.min():
        return _look(path, table, codec, 1)
    return Opening(int(shown[0]))


def _look(path: str, table: PacketTable, codec: str, n_frames: int) -> Opening:
    numbers = {pts: number for number, pts in reversed(list(enumerate(table.pts.tolist())))}
    arrivals = list(itertools.islice(_decoded(path), n_frames))
    if (
        codec != "h264"
    ):  # other decoders also give out what they make of pictures before the first start
        clean = [(n, pts) for n, pts in arrivals if table.clean_since[numbers.get(pts, 0)] >= 0]
        arrivals = clean or arrivals
    if not arrivals:
        return Opening()
    (n_sent, pts), times = arrivals[0], [pts for _, pts in arrivals]
    first = numbers.get(pts, 0)
    rises = all(a is not None and b is not None and a < b for a, b in itertools.pairwise(times))
    return Opening(first, max(0, n_sent - 1 - first), rises)


def _decoded(path: str) -> Iterator[tuple[int, int | None]]:
    """Yield for each frame how many packets were sent before it came, and its timestamp."""
    with open_video(path) as (container, stream), contextlib.suppress(av.FFmpegError):
        context = stream.codec_context
        context.thread_count = 1
        n_sent = 0
        for packet in packets(container, stream, lambda: None):
            n_sent += 1
            with contextlib.suppress(av.FFmpegError):
                for frame in context.decode(packet):
                    yield n_sent, frame.pts
        with contextlib.suppress(av.FFmpegError):
            for frame in context.decode(None):
                yield n_sent, frame.pts
