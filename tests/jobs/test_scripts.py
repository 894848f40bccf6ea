"""jobs/: a thin entry point for every stage, each a script of its own too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import typer

from dfray.cli import app
from dfray.cli.jobs import Stage
from dfray.jobs.submission import STAGES

JOBS = Path(__file__).parents[2] / "jobs"


def test_every_stage_has_its_script_and_its_command():
    assert sorted(path.stem for path in JOBS.glob("*.py")) == sorted(STAGES)
    assert get_args(Stage) == STAGES
    assert set(STAGES) <= set(typer.main.get_command(app).commands)


@pytest.mark.parametrize("stage", STAGES)
def test_a_script_only_calls_its_stage(stage):
    text = (JOBS / f"{stage}.py").read_text()
    assert f'main("{stage}"' in text
    assert len(text.splitlines()) < 15


def test_a_script_runs_as_it_is(tmp_path):
    done = subprocess.run(
        [sys.executable, JOBS / "train.py", "demo", "training.epochs=7", "--print-recipe"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(JOBS.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "epochs: 7" in done.stdout
