"""What the first bytes of a packet say of its picture."""

from __future__ import annotations

import pytest

from dfray.faces.bitstreams import bitstream_reader
from dfray.faces.coded import Coded

AVCC = bytes([1, 100, 0, 31, 0xFF, 0xE1])
HVCC = bytes([1, *([0] * 20), 0xFF, 0])


def sized(*units: bytes) -> bytes:
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def start_coded(*units: bytes) -> bytes:
    return b"".join(b"\0\0\1" + unit for unit in units)


def read(codec: str, data: bytes, *, is_key: bool = False, extradata: bytes = b"") -> Coded:
    return bitstream_reader(codec, extradata, is_intra_only=False)(data, is_key)


IDR, SLICE, UNUSED_SLICE = b"\x65abc", b"\x41abc", b"\x01abc"
DELIMITER, SEQUENCE, PICTURE_SET = b"\x09\x10a", b"\x67abc", b"\x68abc"


@pytest.mark.parametrize(("join", "extradata"), [(sized, AVCC), (start_coded, b"\0\0\1\x67")])
def test_decoding_of_h264_may_begin_at_idr_pictures_only(join, extradata) -> None:
    idr = read("h264", join(DELIMITER, SEQUENCE, PICTURE_SET, IDR), extradata=extradata)
    assert idr == Coded(is_start=True, recovers_after=0, has_parameters=True)
    assert read("h264", join(SLICE), extradata=extradata) == Coded()
    assert read("h264", join(UNUSED_SLICE), extradata=extradata) == Coded(is_droppable=True)
    assert not read("h264", join(DELIMITER, SEQUENCE), extradata=extradata).is_shown


@pytest.mark.parametrize(("payload", "count"), [(b"\x80", 0), (b"\x4b", 1), (b"\x29", 4)])
def test_a_recovery_point_says_when_damage_no_longer_shows(payload: bytes, count: int) -> None:
    message = b"\x06\x05\x01\xaa\x06\x01" + payload + b"\x80"
    recovering = read("h264", start_coded(message, SLICE))
    assert (recovering.is_start, recovering.recovers_after) == (False, count)


def test_units_that_do_not_fit_their_packet_are_taken_as_a_picture() -> None:
    assert read("h264", b"\xff\xff\xff\xff\x09\x10abc", extradata=AVCC) == Coded()


@pytest.mark.parametrize("kind", [16, 19, 20, 21])
def test_decoding_of_hevc_may_begin_at_every_random_access_picture(kind: int) -> None:
    data = sized(b"\x46\x01\x50", bytes([kind << 1, 1, 0xAF]))
    assert read("hevc", data, extradata=HVCC) == Coded(is_start=True, recovers_after=0)


def test_pictures_of_a_layer_that_no_other_of_it_needs_are_told_with_their_layer() -> None:
    assert read("hevc", start_coded(b"\x00\x02abc")) == Coded(is_droppable=True, layer=1)
    assert read("hevc", start_coded(b"\x02\x01abc")) == Coded()


def test_decoding_of_mpeg2_begins_with_a_sequence_header() -> None:
    header, group, picture = b"\0\0\1\xb3abc", b"\0\0\1\xb8abc", b"\0\0\1\0abc"
    assert read("mpeg2video", header + group + picture, is_key=True).is_start
    assert not read("mpeg2video", group + picture, is_key=True).is_start


@pytest.mark.parametrize("codec", ["vp8", "vp9", "mpeg4"])
def test_key_pictures_of_other_codecs_are_starts(codec: str) -> None:
    assert read(codec, b"\x10abc", is_key=True).is_start
    assert not read(codec, b"\x11abc").is_start


def test_a_key_picture_of_av1_that_is_shown_later_is_no_start() -> None:
    delimiter, sequence = b"\x12\x00", b"\x0a\x02ab"
    assert read("av1", delimiter + sequence + b"\x32\x02\x10a", is_key=True).is_start
    assert not read("av1", delimiter + sequence + b"\x32\x02\x00a", is_key=True).is_start


def test_a_hidden_picture_of_vp8_is_not_shown() -> None:
    assert not read("vp8", b"\x01abc").is_shown


def test_every_picture_is_a_start_where_none_needs_another() -> None:
    assert bitstream_reader("mjpeg", None, is_intra_only=True)(b"abc", True).is_start


@pytest.mark.parametrize("codec", ["flv1", "wmv2", "vc1", "theora"])
def test_damage_ends_at_the_flagged_pictures_of_codecs_that_are_not_read(codec: str) -> None:
    assert read(codec, b"abc", is_key=True) == Coded(recovers_after=0)
    assert read(codec, b"abc") == Coded()
