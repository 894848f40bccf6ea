"""Network abstraction layer units of H.264 and HEVC, and their bits (ITU-T Rec. H.264, 7.3.1, 9.1, B.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

Split = Callable[[bytes], Iterator[int]]
"""Yields where the header of each unit of a packet begins."""


class DamagedUnitError(Exception):
    """A unit that ends beyond its packet, or before the bits that it should hold."""


def unit_splitter(extradata: bytes, place: int) -> Split:
    """Return the function that splits the packets of a stream.

    Args:
        extradata: of the stream. MP4 and Matroska put sizes before units, other containers start codes.
        place: of the byte in such a container's extradata that holds the length of the sizes.
    """
    if not has_sizes(extradata, place):
        return start_coded_units
    size_bytes = (extradata[place] & 3) + 1
    return lambda data: _sized_units(data, size_bytes)


def has_sizes(extradata: bytes, place: int) -> bool:
    """Return True if sizes stand before units, not start codes; arguments as of `unit_splitter`."""
    return len(extradata) > place and extradata[:3] not in (b"\0\0\0", b"\0\0\1")


def start_coded_units(data: bytes) -> Iterator[int]:
    """Yield where the header of each unit begins, behind a start code."""
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
            raise DamagedUnitError


class Bits:
    """Reader of the bits of a unit.

    Args:
        data: from the unit's header on; emulation prevention is taken out.
    """

    def __init__(self, data: bytes) -> None:
        plain = data.replace(b"\0\0\3", b"\0\0")
        self._bits = f"{int.from_bytes(plain, 'big'):0{8 * len(plain)}b}" if plain else ""
        self._at = 0

    def number(self, n_bits: int) -> int:
        """Return the next bits as a number.

        Raises:
            DamagedUnitError: there are no more.
        """
        end = self._at + n_bits
        if end > len(self._bits):
            raise DamagedUnitError
        self._at, start = end, self._at
        return int(self._bits[start:end] or "0", 2)

    def golomb(self) -> int:
        """Return the next unsigned Exp-Golomb number."""
        end_of_zeros = self._bits.find("1", self._at)
        n_zeros = end_of_zeros - self._at
        if end_of_zeros < 0 or n_zeros > 32:
            raise DamagedUnitError
        self._at = end_of_zeros
        return self.number(n_zeros + 1) - 1

    def signed_golomb(self) -> int:
        """Return the next signed Exp-Golomb number."""
        code = self.golomb()
        return (code + 1) // 2 if code % 2 else -(code // 2)
