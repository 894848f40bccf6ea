"""Temporary folders: below the mark of their process, and removed once it is dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dfray import storage
from dfray.errors import StorageError
from dfray.storage import scratch
from tests.helpers.cluster import REPOSITORY

WAITING = """
import time
from dfray import storage
with storage.temporary_folder() as folder, storage.short_folder() as link:
    print(folder, link, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A TMPDIR of this test; returns the user's folder in it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"dfray-{os.getuid()}"


def waiting(tmp_path: Path) -> tuple[subprocess.Popen[str], Path, Path]:
    """Start a process that waits; return it, its temporary folder and its link to another one."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING],
        env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    folder, link = map(Path, process.stdout.readline().split())
    return process, folder, link


def test_a_folder_lies_below_the_mark_of_its_process_and_is_the_users_alone(place: Path) -> None:
    with storage.temporary_folder() as folder:
        assert Path(folder).parent.parent == place
        assert f"-{os.getpid()}-" in Path(folder).parent.name
        assert place.stat().st_mode & 0o077 == 0
    assert not Path(folder).exists()


def test_what_a_killed_process_left_goes_and_what_a_living_one_uses_stays(
    place: Path, tmp_path: Path
) -> None:
    killed, left, left_link = waiting(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert left.is_dir()
    assert left_link.is_dir()
    living, used, used_link = waiting(tmp_path)  # it sweeps
    try:
        assert not left.parent.exists()
        assert not left_link.is_symlink()
        with storage.temporary_folder(), storage.short_folder():
            assert used.is_dir()
            assert used_link.is_dir()
    finally:
        living.kill()
        living.communicate()


def test_a_short_path_leads_to_a_folder_with_the_others_however_long_theirs_is(
    place: Path, tmp_path: Path
) -> None:
    with storage.short_folder() as link:
        assert len(link) < 30
        Path(link, "file").touch()
        assert [file.name for file in place.glob("*/*/file")] == ["file"]
    assert not os.path.lexists(link)
    assert not list(place.glob("*/*"))
    (tmp_path / "elsewhere").mkdir()
    with storage.short_folder(str(tmp_path / "elsewhere")) as link:
        assert Path(link).resolve().is_relative_to(tmp_path / "elsewhere")


def test_a_short_folder_goes_while_processes_that_end_still_write_there(place: Path) -> None:
    code = """
import itertools, os, sys, time
end = time.monotonic() + 1
for i in itertools.takewhile(lambda _: time.monotonic() < end, itertools.count()):
    try:
        open(f"{sys.argv[1]}/{i}", "w").close()
        print(flush=True) if i == 0 else None
    except OSError:
        break
"""
    with storage.short_folder() as link:
        command = [sys.executable, "-c", code, os.path.realpath(link)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
    assert not list(place.glob("*/*"))
    writer.communicate()


def test_a_folder_that_took_the_place_of_a_link_goes_with_the_next_link_and_links_in_use_stay(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that outlives the folder makes it anew, by the path that it knows."""
    monkeypatch.setattr(scratch, "_SHORT_PLACE", str(tmp_path))
    with storage.short_folder() as left:
        pass
    Path(left, "session").mkdir(parents=True)
    with storage.short_folder() as used, storage.short_folder():
        assert not Path(left).exists()
        assert Path(used).is_dir()


def test_folders_of_other_machines_and_of_other_programs_stay(place: Path) -> None:
    others = [place / "ffffff-1-1", place / "notes"]
    for other in others:
        other.mkdir(parents=True, mode=0o700)
    place.chmod(0o700)
    with storage.temporary_folder():
        assert all(other.is_dir() for other in others)


def test_a_folder_that_a_cleaner_took_is_made_again(place: Path) -> None:
    with storage.temporary_folder() as first:
        pass
    Path(first).parent.rmdir()
    with storage.temporary_folder() as folder:
        assert Path(folder).is_dir()


@pytest.mark.parametrize("kind", ["link", "writable by all", "file"])
def test_a_users_folder_that_others_may_write_to_is_refused(
    place: Path, tmp_path: Path, kind: str
) -> None:
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    elif kind == "file":
        place.touch()
    else:
        place.mkdir()
        place.chmod(0o777)
    with pytest.raises(StorageError, match=r"dfray-\d+ is no folder of yours") as refused:
        storage.temporary_folder()
    assert "set TMPDIR to another folder" in refused.value.hint
