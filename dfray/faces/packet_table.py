"""Table of the packets of a video stream, read without decoding any of them."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import av
import numpy as np

from dfray.faces.bitstreams import FLAGGED, bitstream_reader, unwritten_zeros
from dfray.faces.coded import ORDINARY, Coded
from dfray.faces.containers import fault, packets
from dfray.faces.missing import lacks_pictures
from dfray.faces.timeline import NO_TIME
from dfray.storage import Range

MAX_LOSSES = 0.1
"""Share of the packets above which what looks like a loss in them is an encoder's habit."""
_ABSENT = bytes(4)
"""Beginning of a packet that was not fetched, of a remote file of which parts were; no codec writes it."""


@dataclass(frozen=True)
class PacketTable:
    """The packets of a video stream, in decoding order.

    Attributes:
        pts, dts: int64 (N,), times of presentation and decoding in ticks, NO_TIME where none is stated.
        is_shown: bool (N,), the packet's picture is shown: not cut away by an edit list, not hidden. Of two
            packets with a field each, the second stands for the picture.
        is_droppable: bool (N,), no other picture needs it.
        has_hole: bool (N,), a part of the packet was never written.
        is_damaged: bool (N,), pictures from there on lack data: lost before the container was read, or in it.
        start: int64 (N,), packet from which on decoding gives this picture as a decoding of the whole does.
        clean_since: int64 (N,), packet since which damage before it does not show in this picture; -1
            if there is none.
        end: end of the last picture shown, in ticks.
        broken_off: why the file ends early; none if it does not.
    """

    pts: np.ndarray
    dts: np.ndarray
    is_shown: np.ndarray
    is_droppable: np.ndarray
    has_hole: np.ndarray
    is_damaged: np.ndarray
    start: np.ndarray
    clean_since: np.ndarray
    end: int
    broken_off: str | None

    def __len__(self) -> int:
        return len(self.pts)


class _Columns:
    """Columns of a PacketTable while packets are read: a few bytes a packet."""

    def __init__(self, stream: av.video.stream.VideoStream) -> None:
        codec = stream.codec
        self._read = bitstream_reader(
            codec.canonical_name, stream.codec_context.extradata, codec.intra_only
        )
        self._hole = unwritten_zeros(codec.canonical_name, stream.codec_context.extradata or b"")
        self.pts, self.dts, self.places = array("q"), array("q"), array("q")
        self.coded: list[Coded] = []  # most packets share one of a few
        self.is_absent, self.is_cut_away = array("b"), array("b")
        self.is_corrupt, self.has_hole = array("b"), array("b")
        self.end = NO_TIME
        self.has_new_headers = False

    def add(self, packet: av.Packet) -> None:
        is_key, pts, dts = packet.is_keyframe, packet.pts, packet.dts
        self.pts.append(NO_TIME if pts is None else pts)
        self.dts.append(NO_TIME if dts is None else dts)
        data = bytes(packet)
        self.is_absent.append(data.startswith(_ABSENT))
        self.coded.append(ORDINARY if self.is_absent[-1] else self._read(data, is_key))
        self.is_cut_away.append(packet.is_discard)
        self.is_corrupt.append(packet.is_corrupt)
        self.has_hole.append(not self.is_absent[-1] and _has_hole(data, self._hole))
        self.places.append(-1 if packet.pos is None else packet.pos)
        if is_key and len(self.coded) > 1 and packet.has_sidedata("new_extradata"):
            self.has_new_headers = True
        if pts is not None:
            self.end = max(self.end, pts + (packet.duration or 0))


def read_packets(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    on_packet: Callable[[], None],
    damaged: Sequence[Range] = (),
) -> PacketTable:
    """Return the table of the stream's packets, to the end of the file or to where it breaks off.

    Args:
        damaged: parts of the file that are known to be damaged, (place, size) in bytes, in order.
    """
    columns, broken_off = _Columns(stream), None
    try:
        for packet in packets(container, stream, on_packet):
            columns.add(packet)
    except av.FFmpegError as error:
        broken_off = f"the file breaks off: {fault(error)}"
    return _table(columns, broken_off, damaged)


def _table(columns: _Columns, broken_off: str | None, damaged: Sequence[Range]) -> PacketTable:
    coded = columns.coded
    completes_picture = np.array([row.completes_picture for row in coded], bool)
    pts = _of_pictures(np.array(columns.pts, np.int64), completes_picture)
    is_cut_away = np.array(columns.is_cut_away, bool)
    starts = [(start, 0) for start in _safe_starts(columns)]
    highest = max((row.layer for row in coded), default=0)
    is_droppable = np.array([row.is_droppable and row.layer == highest for row in coded], bool)
    has_hole = _unless_usual(columns, np.array(columns.has_hole, bool))
    clean_since = since(pts, _recoveries(coded), before=-1)
    return PacketTable(
        pts=pts,
        dts=np.array(columns.dts, np.int64),
        is_shown=np.array([row.is_shown for row in coded], bool)
        & ~is_cut_away
        & ~np.append(completes_picture[1:], False),
        is_droppable=is_droppable,
        has_hole=has_hole,
        is_damaged=_spread(np.array(columns.is_corrupt, bool))
        | (has_hole & ~is_droppable)
        | _gaps(columns, pts)
        | _needs_parts(columns, damaged, clean_since),
        start=since(pts, starts, before=0),
        clean_since=clean_since,
        end=columns.end,
        broken_off=broken_off,
    )


def _of_pictures(pts: np.ndarray, completes_picture: np.ndarray) -> np.ndarray:
    """Return the times of packets, of a second field that of its picture, which the decoder states."""
    times = pts.copy()
    seconds = np.flatnonzero(completes_picture)
    times[seconds] = pts[seconds - 1]
    return times


def _spread(is_damaged: np.ndarray) -> np.ndarray:
    """Return the mask with the packet after each marked one: FFmpeg marks the one that the loss ended."""
    spread = is_damaged.copy()
    spread[1:] |= is_damaged[:-1]
    return spread


def _gaps(columns: _Columns, pts: np.ndarray) -> np.ndarray:
    """Return the mask of the packets before which others are missing."""
    has_gap = np.array([row.has_gap for row in columns.coded], bool)
    return _unless_usual(columns, has_gap | lacks_pictures(columns.coded, pts))


def _unless_usual(columns: _Columns, is_loss: np.ndarray) -> np.ndarray:
    """Return the mask of losses, or of none where there are too many."""
    n_read = len(is_loss) - sum(columns.is_absent)
    return is_loss & bool(is_loss.sum() <= MAX_LOSSES * n_read)


def _has_hole(data: bytes, hole: bytes) -> bool:
    """Return True if `hole` is in `data`: zeros, of which some samples tell in an eighth of the time."""
    return bool(hole) and b"\0\0" in data[:: len(hole) // 2] and hole in data


def _needs_parts(columns: _Columns, parts: Sequence[Range], clean_since: np.ndarray) -> np.ndarray:
    """Return the mask of the packets that lie in one of these parts of the file, or need what did."""
    needs = np.zeros(len(columns.places), bool)
    places = np.maximum.accumulate(np.array(columns.places, np.int64))
    for place, size in parts:
        first, end = np.searchsorted(places, (place, place + size)).tolist()
        needs[first:end] = True
        if end < len(needs) and clean_since[end] != end:
            needs[end] = True
    return needs


def _recoveries(coded: list[Coded]) -> list[tuple[int, int]]:
    """Return (packet, packets from there on) of where damage from before no longer shows.

    A container that flags all packets as key pictures does not know them: AVI without its index.
    """
    if all(row is FLAGGED for row in coded):
        return []
    return [
        (number, row.recovers_after)
        for number, row in enumerate(coded)
        if row.recovers_after is not None
    ]


def _safe_starts(columns: _Columns) -> list[int]:
    """Return the starts that need nothing from before: no parameter sets and no headers."""
    coded = columns.coded
    if columns.has_new_headers:
        return []
    brings_its_own = any(row.has_parameters for row in coded[1:])
    return [
        number
        for number, row in enumerate(coded)
        if row.is_start and (number == 0 or row.has_parameters or not brings_its_own)
    ]


def since(pts: np.ndarray, points: list[tuple[int, int]], before: int) -> np.ndarray:
    """Return for each packet the last point from which its picture is right.

    Leading pictures, decoded after a point and shown before it, need the point before.

    Args:
        points: (packet, packets from there to where it holds).
        before: value of packets that have none.
    """
    since = np.full(len(pts), before, np.int64)
    ends = [*(point + wait for point, wait in points[1:]), len(pts)]
    previous = before
    for (point, wait), end in zip(points, ends, strict=False):
        span = slice(point + wait, max(end, point + wait))
        since[span] = np.where(pts[span] < pts[point], previous, point)
        previous = point
    return since
