"""Properties of coded pictures that are read from the first bytes of their packets.

They say where decoding may begin, which pictures no other picture needs, and which are missing. Sources:
MPEG-1 and -2 (ISO/IEC 13818-2, 6.2.2 and 6.3.9), MPEG-4 (ISO/IEC 14496-2, 6.2.5), VP8 (RFC 6386, 9.1), AV1
(AV1 bitstream specification, 5.3 and 5.9.2).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from dfray.faces import h264, hevc
from dfray.faces.coded import ORDINARY, Coded
from dfray.faces.nal_units import DamagedUnitError, has_sizes

Reader = Callable[[bytes, bool], Coded]
"""Returns the properties of a packet from its bytes and the container's flag of a key picture."""

_SIZES_AT = {"h264": h264.PLACE, "hevc": hevc.PLACE}
_START = Coded(is_start=True, recovers_after=0)
FLAGGED = Coded(recovers_after=0)
"""A key picture in a codec of which only the container's flag is known."""
_BETWEEN = Coded(is_between=True)
_ALONE = Coded(is_start=True, recovers_after=0, is_droppable=True)


def bitstream_reader(codec: str, extradata: bytes | None, is_intra_only: bool) -> Reader:
    """Return the reader of a codec's packets.

    Args:
        codec: FFmpeg's canonical name.
        extradata: of the stream; it says how long the sizes before H.264's and HEVC's units are.
        is_intra_only: no picture needs another.
    """
    if is_intra_only:
        return lambda _data, _is_key: _ALONE
    if codec == "h264":
        return _or_ordinary(h264.H264Reader(extradata or b"").read)
    if codec == "hevc":
        return _or_ordinary(hevc.HevcReader(extradata or b"").read)
    return _READERS.get(codec, _flagged_picture)


def unwritten_zeros(codec: str, extradata: bytes) -> bytes:
    """Return a row of zeros that no encoder writes; empty if there is none.

    It shows what was never written, as in a download that lacks parts. H.264 and HEVC forbid three zeros in a
    unit (7.4.1), and the size of the next one begins with three at most. VP9 has rows of 7 at most in black,
    flat and lossless clips. VP8 has long ones, and a start code may follow any number.
    """
    if codec in _SIZES_AT:
        return bytes(32) if has_sizes(extradata, _SIZES_AT[codec]) else b""
    return bytes(64) if codec == "vp9" else b""


def _or_ordinary(read: Callable[[bytes], Coded]) -> Reader:
    """Return the reader for which a damaged packet is an ordinary one."""

    def read_packet(data: bytes, _is_key: bool) -> Coded:
        try:
            return read(data)
        except DamagedUnitError:
            return ORDINARY

    return read_packet


def _mpeg12(data: bytes, is_key: bool) -> Coded:
    """A picture, a start if it has a sequence header, which sets what may have changed before it."""
    at = data.find(b"\0\0\1\0")
    if at < 0 or at + 6 > len(data):
        return ORDINARY
    is_start = is_key and data.find(b"\0\0\1\xb3", 0, at) >= 0
    opens_group = data.find(b"\0\0\1\xb8", 0, at) >= 0
    number, kind = data[at + 4] << 2 | data[at + 5] >> 6, data[at + 5] >> 3 & 7
    return _numbered(is_start, opens_group, number, kind == 3)


@functools.lru_cache
def _numbered(is_start: bool, opens_group: bool, number: int, is_between: bool) -> Coded:
    return Coded(
        is_start=is_start,
        recovers_after=0 if is_start else None,
        is_between=is_between,
        number=number,
        opens_group=opens_group,
    )


def _mpeg4(data: bytes, is_key: bool) -> Coded:
    at = data.find(b"\0\0\1\xb6")
    if 0 <= at < len(data) - 4 and data[at + 4] >> 6 == 2:
        return _BETWEEN
    return _key_picture(data, is_key)


def _key_picture(_data: bytes, is_key: bool) -> Coded:
    return _START if is_key else ORDINARY


def _flagged_picture(_data: bytes, is_key: bool) -> Coded:
    """Damage ends at a key picture; decoding may need headers from before it."""
    return FLAGGED if is_key else ORDINARY


def _vp8(data: bytes, is_key: bool) -> Coded:
    return Coded(
        is_shown=bool(data[0] & 0x10), is_start=is_key, recovers_after=0 if is_key else None
    )


def _av1(data: bytes, is_key: bool) -> Coded:
    """A key picture that is shown at once: one that is shown later may have leading pictures."""
    if not is_key:
        return ORDINARY
    for kind, payload in _av1_units(data):
        if kind in (3, 6):  # a frame header, a frame
            is_shown_key = payload[:1] != b"" and payload[0] & 0xF0 == 0x10
            return _START if is_shown_key else ORDINARY
    return ORDINARY


def _av1_units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, first bytes) of the open bitstream units of a packet."""
    at = 0
    while at < len(data):
        header = data[at]
        at += 2 if header & 4 else 1
        if not header & 2:  # without a size it reaches to the end
            yield header >> 3 & 15, data[at : at + 1]
            return
        size = shift = 0
        while at < len(data):
            size |= (data[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if data[at - 1] < 128:
                break
        yield header >> 3 & 15, data[at : at + 1]
        at += size


_READERS: dict[str, Reader] = {
    "av1": _av1,
    "mpeg1video": _mpeg12,
    "mpeg2video": _mpeg12,
    "mpeg4": _mpeg4,
    "vp8": _vp8,
    "vp9": _key_picture,
}
