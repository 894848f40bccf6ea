"""Properties of H.264's coded pictures (ITU-T Rec. H.264, 7.3.1 to 7.3.3, 7.4.1, 7.4.3 and D.1.8)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dfray.faces.coded import DROPPABLE, ORDINARY, Coded
from dfray.faces.nal_units import Bits, DamagedUnitError, start_coded_units, unit_splitter

PLACE = 4
"""Byte of an AVCDecoderConfigurationRecord that holds the length of the units' sizes (ISO/IEC 14496-15)."""
_HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
"""Profiles whose sequence parameter sets state the chroma format."""
_SLICE_HEADER_BYTES = 24
_SLICES = frozenset({1, 2, 5})
"""Types of the units that begin with a slice header; 5 is of an IDR picture."""


@dataclass(frozen=True)
class _Numbering:
    """Numbering of a sequence's pictures.

    Attributes:
        n_bits: length of frame_num.
        allows_gaps: missing numbers mean nothing.
        has_planes: a slice states its colour plane before its number.
        has_fields: a picture may be coded as two fields.
    """

    n_bits: int
    allows_gaps: bool
    has_planes: bool
    has_fields: bool


@dataclass(frozen=True)
class _Field:
    """A field of a picture: the two of one differ in their lines alone (3.30 and 3.31)."""

    number: int
    is_reference: bool
    is_bottom: bool


class H264Reader:
    """Reader of the packets of one stream, in decoding order.

    Pictures that others may need are numbered: a number that is left out tells of a lost one.
    """

    def __init__(self, extradata: bytes) -> None:
        self._split = unit_splitter(extradata, PLACE)
        self._numbering: _Numbering | None = None
        self._last_number: int | None = None
        self._first_field: _Field | None = None
        for unit in _first_sets(extradata):
            self._read_set(unit)

    def read(self, data: bytes) -> Coded:
        """Return the properties of a packet.

        Raises:
            DamagedUnitError: it cannot be read as far as they stand.
        """
        has_parameters, recovers_after = False, None
        for at in self._split(data):
            kind = data[at] & 31
            if kind in _SLICES and self._completes_picture(data, at):
                return Coded(has_parameters=has_parameters, completes_picture=True)
            if kind == 5:  # an IDR picture
                self._last_number = 0
                return Coded(is_start=True, recovers_after=0, has_parameters=has_parameters)
            if kind in _SLICES:
                return self._picture(data, at, has_parameters, recovers_after)
            if kind == 6:
                recovers_after = _recovery_count(data[at + 1 : at + 257])
            elif kind == 7:
                self._read_set(data[at : at + 512])
            has_parameters |= kind in (7, 8)
        return Coded(is_shown=False, has_parameters=has_parameters)

    def _picture(
        self, data: bytes, at: int, has_parameters: bool, recovers_after: int | None
    ) -> Coded:
        is_reference = bool(data[at] & 0x60)
        has_gap = self._leaves_out(data[at : at + _SLICE_HEADER_BYTES], is_reference)
        is_droppable = not is_reference and self._first_field is None
        if recovers_after is None and not has_parameters and not has_gap:
            return DROPPABLE if is_droppable else ORDINARY
        return Coded(
            recovers_after=recovers_after,
            is_droppable=is_droppable,
            has_parameters=has_parameters,
            has_gap=has_gap and recovers_after is None,
        )

    def _completes_picture(self, data: bytes, at: int) -> bool:
        """Return True if the first slice of a packet, here, is of the second field of the picture before.

        Transport streams have packets of one field, other containers of both.
        """
        first, self._first_field = self._first_field, None
        if self._numbering is None or not self._numbering.has_fields:
            return False
        field = _field(data, at, self._numbering)
        if field is None:
            return False
        if first == replace(field, is_bottom=not field.is_bottom):
            return True
        slices = [place for place in self._split(data) if data[place] & 31 in _SLICES]
        if all(_field(data, place, self._numbering) == field for place in slices):
            self._first_field = field
        return False

    def _leaves_out(self, unit: bytes, is_reference: bool) -> bool:
        """Return True if a number is missing before the picture of this slice."""
        if self._numbering is None:
            return False
        number, last = _number(Bits(unit[1:]), self._numbering), self._last_number
        if is_reference:
            self._last_number = number
        if self._numbering.allows_gaps or last is None:
            return False
        # A memory operation of the last picture may have set its number to 0.
        return number not in (last, (last + 1) % (1 << self._numbering.n_bits), 0, 1)

    def _read_set(self, unit: bytes) -> None:
        try:
            self._numbering = _numbering(unit)
        except DamagedUnitError:
            self._numbering = None


def _number(bits: Bits, numbering: _Numbering) -> int:
    """Return frame_num of a slice header (7.3.3), read up to there."""
    for _ in range(3):  # first macroblock, type, parameter set
        bits.golomb()
    if numbering.has_planes:
        bits.number(2)
    return bits.number(numbering.n_bits)


def _field(data: bytes, at: int, numbering: _Numbering) -> _Field | None:
    """Return the field of the slice whose unit begins here; none if it is of a frame."""
    bits = Bits(data[at + 1 : at + _SLICE_HEADER_BYTES])
    number = _number(bits, numbering)
    if not bits.number(1):  # field_pic_flag
        return None
    return _Field(number, bool(data[at] & 0x60), bool(bits.number(1)))


def _first_sets(extradata: bytes) -> list[bytes]:
    """Return the sequence parameter sets of a stream's extradata."""
    if extradata[:1] == b"\1":
        size = int.from_bytes(extradata[6:8], "big")
        return [extradata[8 : 8 + size]] if len(extradata) > 8 else []
    units = start_coded_units(extradata)
    return [extradata[at : at + 512] for at in units if extradata[at] & 31 == 7]


def _numbering(unit: bytes) -> _Numbering:
    """Return the numbering that a sequence parameter set states (7.3.2.1.1)."""
    bits = Bits(unit[1:])
    profile = bits.number(8)
    bits.number(16)
    bits.golomb()
    has_planes = False
    if profile in _HIGH_PROFILES:
        chroma = bits.golomb()
        has_planes = chroma == 3 and bool(bits.number(1))
        bits.golomb()
        bits.golomb()
        bits.number(1)
        if bits.number(1):
            _skip_scaling(bits, 12 if chroma == 3 else 8)
    n_bits = bits.golomb() + 4
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.number(1)
        bits.signed_golomb()
        bits.signed_golomb()
        for _ in range(bits.golomb()):
            bits.signed_golomb()
    bits.golomb()
    allows_gaps = bool(bits.number(1))
    bits.golomb()
    bits.golomb()
    return _Numbering(n_bits, allows_gaps, has_planes, has_fields=not bits.number(1))


def _skip_scaling(bits: Bits, n_lists: int) -> None:
    """Read past the scaling lists of a sequence parameter set (7.3.2.1.1.1)."""
    for place in range(n_lists):
        if not bits.number(1):
            continue
        last = following = 8
        for _ in range(16 if place < 6 else 64):
            if following:
                following = (last + bits.signed_golomb()) % 256
            last = following or last


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
            return Bits(messages[at : at + 8]).golomb()
        at += size
    return None
