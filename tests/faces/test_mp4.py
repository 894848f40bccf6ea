"""The index of an MP4 file is found by its boxes; any other bytes are none."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from dfray.faces.mp4 import index_range


def box(name: bytes, size: int = 8) -> bytes:
    return struct.pack(">I4s", size, name) + bytes(size - 8)


def index_of(file: bytes) -> tuple[tuple[int, int], int] | None:
    return index_range(lambda first, size: file[first : first + size], len(file))


HEAD = box(b"ftyp", 24)


def test_the_index_may_lie_before_or_after_the_media_data() -> None:
    assert index_of(HEAD + box(b"moov", 50) + box(b"mdat", 90)) == ((24, 50), 74)
    assert index_of(HEAD + box(b"free") + box(b"mdat", 90) + box(b"moov", 50)) == ((122, 50), 32)


def test_sizes_may_have_64_bits_or_reach_to_the_end() -> None:
    long = struct.pack(">I4sQ", 1, b"mdat", 40) + bytes(24)
    assert index_of(HEAD + long + box(b"moov", 50)) == ((64, 50), 24)
    open_end = struct.pack(">I4s", 0, b"mdat") + bytes(30)
    assert index_of(HEAD + box(b"moov", 50) + open_end) == ((24, 50), 74)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"abc",
        b"\x1aE\xdf\xa3" + bytes(100),
        HEAD,
        HEAD + box(b"mdat", 90),
        HEAD + box(b"moov", 50),
        HEAD + box(b"moov", 50) + box(b"moof", 20) + box(b"mdat", 90),
        HEAD + box(b"moov", 50) + box(b"mdat", 90)[:-1],
        HEAD + struct.pack(">I4s", 7, b"moov") + bytes(20),
        HEAD + struct.pack(">I4s", 1, b"mdat"),
        HEAD + box(b"free") * 1000 + box(b"moov", 50) + box(b"mdat"),
        np.random.default_rng(0).bytes(1000),
    ],
)
def test_what_is_no_whole_mp4_with_one_index_has_none(file: bytes) -> None:
    assert index_of(file) is None
