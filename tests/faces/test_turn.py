"""Turn of a run to extract: a second run follows the first, and extracts what is missing after it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dfray import storage
from dfray.faces import turn as turns
from dfray.faces.turn import extraction_turn
from dfray.storage import lock as locks
from tests.helpers.locks import of_elsewhere, record_of


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "POLL_S", 0.02)


def test_an_extraction_with_nothing_to_do_takes_no_lock(tmp_path: Path) -> None:
    with extraction_turn(str(tmp_path), "toy/1", lambda: (5, 5)) as turn:
        assert not turn.is_due
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_nobody_extracts_into_is_locked_while_this_run_does(tmp_path: Path) -> None:
    with extraction_turn(str(tmp_path), "toy/1", lambda: (3, 5)) as turn:
        assert turn.is_due
        holder = storage.holder_of(str(tmp_path))
        assert holder is not None
        assert holder.work == "toy/1"
    assert storage.holder_of(str(tmp_path)) is None


def test_a_turn_that_has_ended_leaves_the_store_to_others(tmp_path: Path) -> None:
    def extract_second() -> None:
        with extraction_turn(str(tmp_path), "other/1", lambda: (3, 5)) as second:
            due.append(second.is_due)

    due: list[bool] = []
    with extraction_turn(str(tmp_path), "toy/1", lambda: (3, 5)) as turn:
        ending = threading.Thread(target=turn.end)  # as the thread that draws the progress does
        ending.start()
        ending.join()
        assert storage.holder_of(str(tmp_path)) is None
        other = threading.Thread(target=extract_second)
        other.start()
        other.join()
        turn.end()
    assert due == [True]


def test_a_second_run_goes_on_as_soon_as_the_first_has_extracted_its_videos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_of(str(tmp_path), of_elsewhere("first/0123456789ab"))
    counts = iter(range(20))
    with extraction_turn(str(tmp_path), "toy/1", lambda: (min(5, next(counts)), 5)) as turn:
        assert not turn.is_due
    lines = capsys.readouterr().err
    assert "follows the extraction of first/0123456789ab (host elsewhere, pid " in lines
    holder = storage.holder_of(str(tmp_path))
    assert holder is not None
    assert holder.work == "first/0123456789ab"


def test_a_second_run_extracts_what_the_first_has_left(tmp_path: Path) -> None:
    released = threading.Event()

    def count_done() -> tuple[int, int]:
        released.set()
        return 3, 5

    def extract_first() -> None:
        with storage.locked(str(tmp_path), "first/0123456789ab"):
            begun.set()
            released.wait()

    begun = threading.Event()
    first = threading.Thread(target=extract_first)
    first.start()
    begun.wait()
    with extraction_turn(str(tmp_path), "toy/1", count_done) as turn:
        assert turn.is_due
        first.join()


def test_a_second_run_takes_over_when_the_first_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_of(str(tmp_path), of_elsewhere())
    looks = iter(range(20))

    def count_done() -> tuple[int, int]:
        if next(looks) == 4:
            monkeypatch.setattr(locks, "LIMIT_S", -1.0)  # the first was renewed long ago
        return 3, 5

    with extraction_turn(str(tmp_path), "toy/1", count_done) as turn:
        assert turn.is_due
