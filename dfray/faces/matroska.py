"""Checksums of Matroska files (RFC 8794, 11.3.1), read without FFmpeg, which ignores them.

FFmpeg itself writes one for each cluster of a .mkv file: any damage in it is told, whatever the codec.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import BinaryIO

from dfray.storage import Range

_SEGMENT, _CLUSTER, _CHECKSUM = b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75", b"\xbf\x84"
_MAX_ELEMENTS = 1_000_000
_BLOCK_BYTES = 2**20


def damaged_clusters(path: str, on_block: Callable[[], None]) -> list[Range]:
    """Return the place and size of each cluster of the file at `path` that differs from its checksum.

    Args:
        on_block: called for every block read.
    """
    damaged: list[Range] = []
    with open(path, "rb") as file:
        place = 0
        for _ in range(_MAX_ELEMENTS):
            file.seek(place)
            element = _element(file)
            if element is None:
                break
            name, size = element
            begin = file.tell()
            if name == _SEGMENT:
                place = begin
                continue
            place = begin + size
            if name == _CLUSTER and not _is_sound(file, size, on_block):
                damaged.append((begin, size))
    return damaged


def _element(file: BinaryIO) -> tuple[bytes, int] | None:
    """Return name and size of the element that begins here; none if there is none of known size."""
    name, size = _number(file), _number(file)
    if not name or not size:
        return None
    n_bits = 7 * len(size)
    value = int.from_bytes(size, "big") & ((1 << n_bits) - 1)
    is_unknown = value == (1 << n_bits) - 1 and name != _SEGMENT
    return None if is_unknown else (name, value)


def _number(file: BinaryIO) -> bytes:
    """Return the bytes of a number of variable length; none if it has no legal one."""
    first = file.read(1)
    if not first or first == b"\0":
        return b""
    return first + file.read(8 - first[0].bit_length())


def _is_sound(file: BinaryIO, size: int, on_block: Callable[[], None]) -> bool:
    """Return False if an element of `size` bytes begins with a checksum that the rest has not."""
    head = file.read(6)
    if not head.startswith(_CHECKSUM):
        return True
    left, checksum = size - len(head), 0
    while left > 0:
        block = file.read(min(left, _BLOCK_BYTES))
        if not block:  # the file is cut off, which is told elsewhere
            return True
        checksum = zlib.crc32(block, checksum)
        left -= len(block)
        on_block()
    return checksum == int.from_bytes(head[2:], "little")
