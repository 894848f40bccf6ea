"""Top-level boxes of an MP4 or QuickTime file (ISO/IEC 14496-12, 4.2), read without FFmpeg."""

from __future__ import annotations

import struct
from collections.abc import Callable

from dfray.storage import Range

ReadBytes = Callable[[int, int], bytes]
"""A function that returns the bytes of a file, given the first one and their number."""

_MAX_BOXES = 256
_HEADER, _LONG_HEADER = 8, 16
_FRAGMENT = b"moof"


def index_range(read: ReadBytes, n_bytes: int) -> tuple[Range, int] | None:
    """Return the place of the index (`moov`), and the first byte of the media data (`mdat`).

    Args:
        n_bytes: size of the file.

    Returns:
        None if the file is no MP4, has no index, or has its index in fragments.
    """
    index = media = None
    place = 0
    for _ in range(_MAX_BOXES):
        if place == n_bytes:
            break
        box = _box(read, place, n_bytes)
        if box is None or (
            place == 0 and box[0] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free")
        ):
            return None
        name, size = box
        if name == _FRAGMENT:
            return None
        if name == b"moov":
            index = index or (place, size)
        if name == b"mdat" and media is None:
            media = place
        place += size
    return None if index is None or media is None else (index, media)


def _box(read: ReadBytes, place: int, n_bytes: int) -> tuple[bytes, int] | None:
    """Return name and size of the box at `place`; none if there is none that lies in the file."""
    if place + _HEADER > n_bytes:
        return None
    size, name = struct.unpack(">I4s", read(place, _HEADER))
    if size == 0:  # it reaches to the end
        size = n_bytes - place
    elif size == 1:
        if place + _LONG_HEADER > n_bytes:
            return None
        (size,) = struct.unpack(">Q", read(place + _HEADER, 8))
    return (name, size) if size >= _HEADER and place + size <= n_bytes else None
