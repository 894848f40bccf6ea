"""What `dfray manifest check` shows of equal files and of shared people."""

from __future__ import annotations

import re

import pytest

from dfray.audit.equal import EqualVideos, Member
from dfray.audit.people import SharedPeople
from dfray.render.audit import show_equal_videos, show_people


def group(*members: tuple[str, str, int]) -> EqualVideos:
    return EqualVideos(
        tuple(Member(*member[:1], "toy", *member[1:]) for member in members), "bytes"
    )


def test_equal_files_are_listed_by_where_they_lie(capsys: pytest.CaptureFixture[str]) -> None:
    show_equal_videos(
        [
            group(("a", "train", 0), ("b", "test", 0)),
            group(("c", "test", 0), ("d", "test", 1)),
        ]
    )
    assert capsys.readouterr().out.splitlines() == [
        "groups of equal bytes, in training and in test",
        "  a (train) = b (test)",
        "groups of equal bytes, not in both",
        "  c (test) = d (test)",
        "groups of equal bytes, labelled real and fake",
        "  c (test) = d (test)",
    ]


def test_nothing_is_shown_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show_equal_videos([])
    show_people([])
    assert capsys.readouterr().out == ""


def test_shared_people_are_a_row_for_each_pair(capsys: pytest.CaptureFixture[str]) -> None:
    show_people(
        [
            SharedPeople("x", "x", "number", 51, 59, 0, "by name"),
            SharedPeople("x", "y", "not known", None, 0, 0, "nothing is stated"),
        ]
    )
    shown = capsys.readouterr().out
    assert re.search(r"x +x +51 of 59 named +by name", shown)
    assert re.search(r"x +y +not known +nothing is stated", shown)
