"""What would be refused is told before any work: by dry runs, by `dfray doctor`, and by the stages."""

from __future__ import annotations

import json
import re
import socket
import time
from pathlib import Path

import pytest

from tests.helpers.commands import Command
from tests.helpers.corpus import write_corpus


def test_a_dry_run_prints_the_plan_and_all_that_would_be_refused(
    dfray: Command, folder: Path
) -> None:
    words = ["training.use_gpu=true", "registry.tracking_uri=runs"]
    done = dfray(folder, "train", "small.yaml", "--dry-run", *words)
    assert done.code == 2
    assert "parameters" in done.out
    assert re.search(r"dfray: error: 3 problems:\n  - tracking: .*\n  - corpora: ", done.err)
    assert "  - room to train: The plan needs 1 GPU at once" in done.err
    assert [path.name for path in folder.iterdir()] == ["small.yaml"]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("search", "tracking: "),
        ("evaluate", "no model/bundle.json yet"),
        ("register", "no model/bundle.json yet"),
        ("promote", "registry.model_name 'a/b' is no name"),
    ],
)
def test_every_dry_run_ends_with_all_that_would_be_refused(
    dfray: Command, folder: Path, command: str, reason: str
) -> None:
    words = ["registry.model_name=a/b", "registry.tracking_uri=runs"]
    done = dfray(folder, command, "small.yaml", "--dry-run", *words)
    assert done.code == 2
    assert reason in done.err
    assert [path.name for path in folder.iterdir()] == ["small.yaml"]


def test_doctor_prints_a_row_a_check_and_with_a_recipe_its_problems(
    dfray: Command, folder: Path
) -> None:
    done = dfray(folder, "doctor", "small.yaml", "training.use_gpu=true", "--json")
    rows = {row["check"]: row for row in json.loads(done.out)}
    assert done.code == 2
    assert rows["python"]["severity"] == "ok"
    assert rows["corpora"]["message"] == "corpora.0.root: there is no corpus."
    assert "GPU" in rows["room to train"]["message"]
    assert [path.name for path in folder.iterdir()] == ["small.yaml"]
    table = dfray(folder, "doctor").out.splitlines()
    assert table[0].split() == ["check", "finding"]
    assert table[1].split()[:2] == ["✓", "python"]


def test_a_split_with_one_class_is_refused_before_any_work(dfray: Command, folder: Path) -> None:
    write_corpus(folder / "corpus", 3, seconds=1, splits=("train", "val"))
    done = dfray(folder, "train", "small.yaml")
    assert (done.code, done.out) == (2, "")
    assert "  - classes: Split val has no fake video." in done.err
    assert not (folder / "runs" / "small" / "faces").exists()


def test_a_server_that_is_away_is_said_within_seconds_and_before_any_work(
    dfray: Command, folder: Path
) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{sock.getsockname()[1]}"
        told = f"No MLflow server answers at {dead}."
        write_corpus(folder / "corpus", 4, seconds=1, splits=("train", "val"))
        start = time.monotonic()
        scored = dfray(folder, "score", "clip.mp4", MLFLOW_TRACKING_URI=dead)
        assert time.monotonic() - start < 15
        assert (scored.code, scored.out) == (1, "")
        assert scored.err.startswith(f"dfray: failed: {told}")
        assert len(scored.err.splitlines()) == 1
        walked = dfray(folder, "train", "small.yaml", f"registry.tracking_uri={dead}")
        assert walked.code == 2
        assert told in walked.err
        assert not (folder / "runs" / "small" / "manifest.parquet").exists()
