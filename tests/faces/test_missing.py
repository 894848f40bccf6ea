"""Pictures that are missing are told by those that are there."""

from __future__ import annotations

import numpy as np
import pytest

from dfray.faces.bitstreams import bitstream_reader
from dfray.faces.coded import Coded
from dfray.faces.missing import lacks_pictures
from dfray.faces.timeline import NO_TIME


def group(kinds: str, lost: tuple[int, ...] = ()) -> tuple[list[Coded], list[int]]:
    """A group of MPEG-2 in decoding order, such as I2 B0 B1 P5 B3 B4 of the kinds shown, BBIBBP."""
    shown = [(number, kind) for number, kind in enumerate(kinds)]
    coded: list[tuple[int, str]] = []
    waiting: list[tuple[int, str]] = []
    for number, kind in shown:
        if kind == "B":
            waiting.append((number, kind))
        else:
            coded += [(number, kind), *waiting]
            waiting = []
    kept = [row for row in coded if row[0] not in lost]
    rows = [
        Coded(number=number, is_between=kind == "B", opens_group=kind == "I")
        for number, kind in kept
    ]
    return rows, [number for number, _ in kept]


def lacking(*groups: tuple[list[Coded], list[int]], timed: bool = True) -> list[int]:
    """Return the places of the packets that lack a picture."""
    coded = [row for rows, _ in groups for row in rows]
    pts = [100 * g + number for g, (_, numbers) in enumerate(groups) for number in numbers]
    times = np.array(pts if timed else [NO_TIME] * len(pts), np.int64)
    return np.flatnonzero(lacks_pictures(coded, times)).tolist()


WHOLE = group("BBIBBPBBPBBP")


@pytest.mark.parametrize("kinds", ["BBIBBPBBPBBP", "IPPPPPPP", "IBBBPBPBBP", "IBPBPBP"])
def test_in_a_whole_stream_no_picture_is_missing(kinds: str) -> None:
    assert lacking(group(kinds), group(kinds)) == []


def test_a_number_that_is_left_out_tells_of_a_lost_picture() -> None:
    assert lacking(group("IPPPPPPP"), group("IPPPPPPP", lost=(3,))) == [11]


def test_pictures_between_of_which_the_later_one_is_lost_are_told() -> None:
    assert lacking(WHOLE, group("BBIBBPBBPBBP", lost=(5,))) == [15, 16, 17]


def test_a_longer_step_than_usual_tells_where_pictures_between_were_lost_as_well() -> None:
    lost = group("BBIBBPBBPBBP", lost=(3, 4, 5))
    assert lacking(WHOLE, lost) == [15]
    assert lacking(WHOLE, lost, timed=False) == [15]


def test_a_lost_picture_between_is_needed_by_none() -> None:
    assert lacking(WHOLE, group("BBIBBPBBPBBP", lost=(3, 7))) == []


def test_the_numbers_of_a_long_group_begin_again() -> None:
    long, _ = group("I" + 1500 * "P")
    coded = [Coded(number=(row.number or 0) % 1024, opens_group=row.opens_group) for row in long]
    assert lacking((coded, list(range(len(coded))))) == []
    del coded[1030]
    assert lacking((coded, list(range(len(coded))))) == [1030]


def test_two_fields_of_one_picture_have_one_number() -> None:
    rows, numbers = WHOLE
    fields = ([row for row in rows for _ in "tb"], [n for n in numbers for _ in "tb"])
    rows = [
        Coded(
            number=row.number, is_between=row.is_between, opens_group=row.opens_group and not k % 2
        )
        for k, row in enumerate(fields[0])
    ]
    assert lacking((rows, fields[1])) == []


@pytest.mark.parametrize(("kind", "is_between"), [(1, False), (2, False), (3, True)])
def test_pictures_of_mpeg2_are_numbered(kind: int, is_between: bool) -> None:
    read = bitstream_reader("mpeg2video", None, is_intra_only=False)
    header = b"\0\0\1\0" + (517 << 22 | kind << 19).to_bytes(4, "big")
    coded = read(header, False)
    assert (coded.number, coded.is_between, coded.opens_group) == (517, is_between, False)
    assert read(b"\0\0\1\xb8abcd" + header, False).opens_group


@pytest.mark.parametrize(("byte", "is_between"), [(0x10, False), (0x50, False), (0x90, True)])
def test_pictures_between_are_known_in_mpeg4(byte: int, is_between: bool) -> None:
    read = bitstream_reader("mpeg4", None, is_intra_only=False)
    assert read(b"\0\0\1\xb6" + bytes([byte]), False).is_between == is_between
