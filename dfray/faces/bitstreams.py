"""Properties of coded pictures that are read from the first bytes of their packets.

They say where decoding may begin, and which pictures no other picture needs. Sources: H.264 (ITU-T Rec.
H.264, 7.3.1, 7.4.1, D.1.8), HEVC (ITU-T Rec. H.265, 7.3.1.2, 7.4.2.2), MPEG-1 and -2 (ISO/IEC 13818-2,
6.2.2), VP8 (RFC 6386, 9.1), AV1 (AV1 bitstream specification, 5.3 and 5.9.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Coded:
    """Properties of one packet.

    Attributes:
        is_shown: it holds a picture that is meant to be shown.
        is_start: decoding from here on gives what a decoding of the whole gives, but for the pictures that
            are decoded after this one and shown before it (leading pictures).
        recovers_after: packets from here to where damage before this one no longer shows; none if it stays.
        is_droppable: no other picture needs it.
        layer: temporal layer; pictures of a higher one may need even a droppable one.
        has_parameters: it carries parameter sets that later pictures may need.
    """

    is_shown: bool = True
    is_start: bool = False
    recovers_after: int | None = None
    is_droppable: bool = False
    layer: int = 0
    has_parameters: bool = False


Reader = Callable[[bytes, bool], Coded]
"""Returns the properties of a packet from its bytes and the container's flag of a key picture."""


class _DamagedUnitError(Exception):
    """A unit that ends beyond its packet."""


_START = Coded(is_start=True, recovers_after=0)
_ORDINARY = Coded()
_DROPPABLE = Coded(is_droppable=True)


def bitstream_reader(codec: str, extradata: bytes | None, is_intra_only: bool) -> Reader | None:
    """Return the reader of a codec's packets; none for codecs of which no start is known.

    Args:
        codec: FFmpeg's canonical name.
        extradata: of the stream; it says how long the sizes before H.264's and HEVC's units are.
        is_intra_only: no picture needs another.
    """
    if is_intra_only:
        return lambda _data, _is_key: Coded(is_start=True, recovers_after=0, is_droppable=True)
    if codec in ("h264", "hevc"):
        units = _unit_splitter(codec, extradata or b"")
        read = _h264 if codec == "h264" else _hevc
        return lambda data, _is_key: _unless_damaged(read, data, units)
    return _READERS.get(codec)


def _unless_damaged(
    read: Callable[[bytes, Iterator[int]], Coded],
    data: bytes,
    units: Callable[[bytes], Iterator[int]],
) -> Coded:
    try:
        return read(data, units(data))
    except _DamagedUnitError:
        return _ORDINARY


def _unit_splitter(codec: str, extradata: bytes) -> Callable[[bytes], Iterator[int]]:
    """Return a function that yields where the header of each NAL unit of a packet begins."""
    place = 4 if codec == "h264" else 21
    if len(extradata) <= place or extradata[:3] in (b"\0\0\0", b"\0\0\1"):
        return _start_coded_units
    size = (extradata[place] & 3) + 1
    return lambda data: _sized_units(data, size)


def _start_coded_units(data: bytes) -> Iterator[int]:
    at = data.find(b"\0\0\1")
    while 0 <= at < len(data) - 4:
        yield at + 3
        at = data.find(b"\0\0\1", at + 3)


def _sized_units(data: bytes, size_bytes: int) -> Iterator[int]:
    at = 0
    while at + size_bytes + 1 < len(data):
        yield at + size_bytes
        at += size_bytes + int.from_bytes(data[at : at + size_bytes], "big")
        if at > len(data):
            raise _DamagedUnitError


def _h264(data: bytes, units: Iterator[int]) -> Coded:
    has_parameters, recovers_after = False, None
    for at in units:
        kind = data[at] & 31
        if kind == 5:  # an IDR picture
            return Coded(is_start=True, recovers_after=0, has_parameters=has_parameters)
        if kind in (1, 2):
            is_droppable = not data[at] & 0x60
            if recovers_after is None and not has_parameters:
                return _DROPPABLE if is_droppable else _ORDINARY
            return Coded(
                recovers_after=recovers_after,
                is_droppable=is_droppable,
                has_parameters=has_parameters,
            )
        if kind == 6:
            recovers_after = _recovery_count(data[at + 1 : at + 257])
        has_parameters |= kind in (7, 8)
    return Coded(is_shown=False, has_parameters=has_parameters)


def _recovery_count(messages: bytes) -> int | None:
    """Return the pictures to the recovery that a supplemental message announces, if one does."""
    at = 0
    while at + 2 < len(messages):
        kind = size = 0
        while at + 1 < len(messages) and messages[at] == 255:
            kind, at = kind + 255, at + 1
        kind, at = kind + messages[at], at + 1
        while at + 1 < len(messages) and messages[at] == 255:
            size, at = size + 255, at + 1
        size, at = size + messages[at], at + 1
        if kind == 6:
            return _exp_golomb(messages[at : at + 8])
        at += size
    return None


def _exp_golomb(data: bytes) -> int | None:
    """Return the unsigned Exp-Golomb number at the beginning of `data` (ITU-T Rec. H.264, 9.1)."""
    bits = "".join(f"{byte:08b}" for byte in data)
    n_zeros = bits.find("1")
    if n_zeros < 0 or len(bits) < 2 * n_zeros + 1:
        return None
    return int(bits[n_zeros : 2 * n_zeros + 1], 2) - 1


def _hevc(data: bytes, units: Iterator[int]) -> Coded:
    has_parameters = False
    for at in units:
        kind, layer = data[at] >> 1 & 63, (data[at + 1] & 7) - 1
        if 16 <= kind <= 21:  # IDR, CRA and BLA pictures
            return Coded(is_start=True, recovers_after=0, has_parameters=has_parameters)
        if kind < 16:
            is_droppable = kind % 2 == 0
            return Coded(is_droppable=is_droppable, layer=layer, has_parameters=has_parameters)
        has_parameters |= 32 <= kind <= 34
    return Coded(is_shown=False, has_parameters=has_parameters)


def _mpeg12(data: bytes, is_key: bool) -> Coded:
    """A key picture with a sequence header, which sets what may have changed before it."""
    if is_key and 0 <= data.find(b"\0\0\1\xb3") < data.find(b"\0\0\1\0"):
        return _START
    return _ORDINARY


def _key_picture(_data: bytes, is_key: bool) -> Coded:
    return _START if is_key else _ORDINARY


def _vp8(data: bytes, is_key: bool) -> Coded:
    return Coded(
        is_shown=bool(data[0] & 0x10), is_start=is_key, recovers_after=0 if is_key else None
    )


def _av1(data: bytes, is_key: bool) -> Coded:
    """A key picture that is shown at once: one that is shown later may have leading pictures."""
    if not is_key:
        return _ORDINARY
    for kind, payload in _av1_units(data):
        if kind in (3, 6):  # a frame header, a frame
            is_shown_key = payload[:1] != b"" and payload[0] & 0xF0 == 0x10
            return _START if is_shown_key else _ORDINARY
    return _ORDINARY


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
    "mpeg4": _key_picture,
    "vp8": _vp8,
    "vp9": _key_picture,
}
