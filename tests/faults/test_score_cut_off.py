"""A real `dfray score` with workers that is killed twenty times leaves what an undisturbed one writes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.helpers.champion import make_champion
from tests.helpers.commands import DFRAY, plain_environment
from tests.helpers.tiny import portrait, write_clip

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(3600)]
KILLS, CLIPS, SEED = 20, 900, 14
LONGEST_S = 7.0
"""From the first score, or the start, to a kill."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a champion, 900 clips of one and two seconds, and one file that is none."""
    make_champion(tmp_path)
    clips = tmp_path / "clips"
    clips.mkdir()
    made = [write_clip(tmp_path / f"{k}.mp4", portrait(k), seconds=1 + k % 2) for k in range(6)]
    for k in range(CLIPS):
        os.link(made[k % 6], clips / f"{k:04d}.mp4")
    (clips / "text.mp4").write_text("no video")
    return tmp_path


def start(folder: Path, name: str, *more: str) -> subprocess.Popen[str]:
    words = ("--out", f"{name}.parquet", "--frames", f"{name}.faces.parquet", *more)
    return subprocess.Popen(
        [DFRAY, "score", "clips", *words],
        cwd=folder,
        env=plain_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def kill_at_random(process: subprocess.Popen[str], moments: random.Random) -> bool:
    """Kill a command after its first score, or one time in five while it starts; False: it has ended."""
    assert process.stdout is not None
    if moments.random() >= 0.2:
        process.stdout.readline()
    time.sleep(moments.uniform(0, LONGEST_S))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def rows(path: Path, *keys: str) -> list[dict]:
    dropped = ("work_s", "scored_at")
    table = [
        {k: v for k, v in row.items() if k not in dropped}
        for row in pq.read_table(path).to_pylist()
    ]
    return sorted(table, key=lambda row: [row[key] for key in keys])


def assert_same(folder: Path, end: str, *keys: str) -> None:
    """Compare the killed commands' table with the undisturbed one's: equal, scores within 1e-5."""
    found, expected = (rows(folder / f"{name}{end}", *keys) for name in ("killed", "undisturbed"))
    assert len(found) == len(expected)
    for row, other in zip(found, expected, strict=True):
        assert row.pop("fake_probability") == pytest.approx(other.pop("fake_probability"), abs=1e-5)
        assert row == other


def test_after_twenty_kills_scores_and_faces_are_those_of_an_undisturbed_run(folder: Path) -> None:
    undisturbed = start(folder, "undisturbed", "--workers", "1")
    undisturbed.communicate()
    assert undisturbed.returncode == 1, "one file is no video"
    moments, kills = random.Random(SEED), 0
    for _ in range(KILLS):
        kills += kill_at_random(start(folder, "killed", "--workers", "2"), moments)
    n_parts = len(list(folder.glob("killed.parquet.parts/*.parquet")))
    print(f"{kills} kills, {n_parts} parts before the last start")
    last = start(folder, "killed", "--workers", "2")
    last.communicate()
    assert last.returncode == 1, "also if it was an earlier command that found it unreadable"
    assert kills >= KILLS // 2
    assert_same(folder, ".parquet", "input")
    assert_same(folder, ".faces.parquet", "input", "frame_index", "face_index")
    counts = Counter(row["outcome"] for row in rows(folder / "killed.parquet", "input"))
    assert counts == {"ok": CLIPS, "unreadable": 1}
    assert not list(folder.glob("*.parts"))
