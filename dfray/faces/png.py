"""Chunks of a PNG file that its pixels, their times and their orientation need (W3C PNG, third edition)."""

from __future__ import annotations

import struct

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NEEDED = frozenset(
    (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT")
)
_FRAME_BYTES = 12
"""Length, type and checksum around the data of a chunk."""


def needed_chunks(file: bytes) -> bytes:
    """Return the PNG file without remarks and colour profiles, of which some make Pillow refuse it.

    A file that is cut off or damaged keeps what cannot be read as chunks.
    """
    chunks = [SIGNATURE]
    start = len(SIGNATURE)
    while start + _FRAME_BYTES <= len(file):
        length, name = struct.unpack_from(">I4s", file, start)
        end = start + _FRAME_BYTES + length
        if not name.isalpha() or end > len(file):
            break
        if name in _NEEDED:
            chunks.append(file[start:end])
        start = end
    return b"".join([*chunks, file[start:]])
