"""A header is read in a child, which may crash or hang; of a remote file only what the child asks for."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dfray import storage
from dfray.datasets import probe as probing
from dfray.datasets.probe import Probe, probe
from tests.helpers.videos import write_video

CRASHES = """
import os, sys
from multiprocessing.connection import Connection
connection = Connection(int(sys.argv[-1]))
path = connection.recv_bytes()
os.abort() if b"/crash." in path else connection.recv_bytes()
"""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", frames=6, fps=2)


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The next children crash on files named crash, and hang on others."""
    monkeypatch.setattr(probing, "_POOLS", {})
    monkeypatch.setattr(probing, "_COMMAND", (sys.executable, "-c", CRASHES))
    yield
    probing._pool().close()


def children() -> set[int]:
    found = psutil.Process().children()
    return {child.pid for child in found if "dfray.datasets.probe_child" in child.cmdline()}


def test_it_states_the_duration_or_the_problem(clip: Path, tmp_path: Path) -> None:
    assert probe(str(clip)) == Probe(pytest.approx(3.0), None)
    (tmp_path / "empty.mp4").touch()
    assert probe(str(tmp_path / "empty.mp4")) == Probe(None, "empty file")
    (tmp_path / "text.mp4").write_text("no video" * 100)
    assert "Invalid data found" in str(probe(str(tmp_path / "text.mp4")).problem)
    assert "No such file" in str(probe(str(tmp_path / "gone.mp4")).problem)
    assert probe("rtmp://host/clip.mp4").problem == (
        "rtmp://host/clip.mp4 cannot be looked at: rtmp:// is not fetched: DFRAY_FETCH adds schemes to file "
        "and s3."
    )


def test_one_child_without_credentials_serves_file_after_file(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "_POOLS", {})
    before = children()
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    for _ in range(5):
        assert probe(str(clip)).problem is None
    (child,) = children() - before
    assert "MLFLOW_TRACKING_PASSWORD" not in psutil.Process(child).environ()
    probing._pool().close()
    assert child not in children()


@pytest.mark.parametrize("name", [b"a b#?.mp4", b"\xff.mp4", b"\xc3\xa4.mp4"])
def test_any_name_will_do(name: bytes, clip: Path, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(name)
    clip.rename(path)
    assert probe(str(path)).problem is None


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    assert probe(str(tmp_path / "a.mp4")).problem == "is a named pipe, not a file"
    assert probe("/dev/zero").problem == "is a device, not a file"


@pytest.mark.usefixtures("fragile")
def test_a_child_that_crashes_or_hangs_costs_its_file(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = tmp_path / "crash.mp4"
    crash.write_bytes(clip.read_bytes())
    assert probe(str(crash)).problem == "the decoder crashed with SIGABRT"
    monkeypatch.setattr(probing, "LIMIT_S", 0.5)
    assert probe(str(clip)).problem == "nothing came from the decoder for 0.5 s"
    monkeypatch.undo()
    assert probe(str(clip)).problem is None


def test_a_child_that_is_killed_costs_no_file(clip: Path) -> None:
    assert probe(str(clip)).problem is None
    for pid in children():
        os.kill(pid, signal.SIGKILL)
    assert probe(str(clip)) == Probe(pytest.approx(3.0), None)


def test_of_a_remote_file_only_what_ffmpeg_reads_is_fetched(
    clip: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its index lies at the end, behind eight MiB of what nobody reads."""
    data = clip.read_bytes()
    place = data.index(b"moov") - 4
    free = (8 * 2**20).to_bytes(4, "big") + b"free" + bytes(8 * 2**20 - 8)
    storage.write_bytes(data[:place] + free + data[place:], f"{bucket}/clip.mp4")
    fetched: list[storage.Range] = []
    fetch = storage.PartialCopy.fetch
    monkeypatch.setattr(
        storage.PartialCopy,
        "fetch",
        lambda copy, ranges: fetched.extend(ranges) or fetch(copy, ranges),
    )
    assert probe(f"{bucket}/clip.mp4") == Probe(pytest.approx(3.0), None)
    assert sum(size for _, size in fetched) < 4 * 2**20
    assert "gone" in str(probe(f"{bucket}/gone.mp4").problem)
