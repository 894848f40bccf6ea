"""Changes of a video file that leave its coded pictures as they are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np


@dataclass
class Coded:
    """A coded picture with its times in ticks of its stream."""

    data: bytes
    pts: int | None
    dts: int | None
    is_key: bool


Edit = Callable[[list[Coded]], Iterable[Coded]]


def remux(
    source: Path, target: Path, edit: Edit = lambda packets: packets, **settings: object
) -> Path:
    """Write the video of `source` to `target`, its packets in decoding order as `edit` returns them.

    Args:
        settings: attributes of the codec context that the container states, such as color_trc.
    """
    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        stream = container.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for name, value in settings.items():
            setattr(copy.codec_context, name, value)
        for coded in edit(list(_coded(container, stream))):
            packet = av.Packet(coded.data)
            packet.pts, packet.dts, packet.is_keyframe = coded.pts, coded.dts, coded.is_key
            packet.time_base, packet.stream = stream.time_base, copy
            out.mux(packet)
    return target


def _coded(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> Iterator[Coded]:
    for packet in container.demux(stream):
        if packet.size:
            yield Coded(bytes(packet), packet.pts, packet.dts, packet.is_keyframe)


def from_second_key(packets: list[Coded]) -> list[Coded]:
    """Return the packets from the second key picture on, as a cut by copy does."""
    keys = [place for place, coded in enumerate(packets) if coded.is_key]
    return packets[keys[1] :]


def without(*places: int) -> Edit:
    """Return an edit that leaves out the packets at these places."""
    return lambda packets: [coded for i, coded in enumerate(packets) if i not in places]


def damaged(place: int) -> Edit:
    """Return an edit that overwrites the middle of the packet at this place."""

    def edit(packets: list[Coded]) -> list[Coded]:
        data = bytearray(packets[place].data)
        middle, length = len(data) // 3, len(data) // 3
        data[middle : middle + length] = np.random.default_rng(0).bytes(length)
        packets[place].data = bytes(data)
        return packets

    return edit


def in_decoding_order(packets: list[Coded]) -> list[Coded]:
    """Give each packet the time at which it is decoded as its time of presentation, as AVI does."""
    times = sorted(coded.pts for coded in packets if coded.pts is not None)
    for coded, time in zip(packets, times, strict=True):
        coded.pts = coded.dts = time
    return packets


_PACKED_MARK = b"\0\0\1\xb2DivX503b1393p\0"
_PLACEHOLDER = b"\0\0\1\xb6\x51\x80"


def packed(packets: list[Coded]) -> list[Coded]:
    """Put each B-frame of MPEG-4 into the packet before, and a placeholder in its place, as DivX does."""
    packets[0].data = _PACKED_MARK + packets[0].data
    for before, coded in itertools.pairwise(packets):
        kind = coded.data[coded.data.index(b"\0\0\1\xb6") + 4] >> 6
        if kind == 2:
            before.data, coded.data = before.data + coded.data, _PLACEHOLDER
    return in_decoding_order(packets)


def with_losses(source: Path, target: Path, lost: Iterable[int]) -> Path:
    """Write a transport stream without some of its packets of 188 bytes."""
    data, skipped = source.read_bytes(), set(lost)
    kept = (data[at : at + 188] for at in range(0, len(data), 188) if at // 188 not in skipped)
    target.write_bytes(b"".join(kept))
    return target
