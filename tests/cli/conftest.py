"""Commands as a user runs them, in a folder of the test's own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dfray.cli import main
from tests.helpers.commands import Command, Done
from tests.helpers.refused_run import RECIPE, RefusedRun


@pytest.fixture
def dfray(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """dfray(folder, *arguments, **environment): run a command in `folder`, in this process."""

    def run(folder: Path, *arguments: str, **environment: str) -> Done:
        with monkeypatch.context() as patch:
            patch.chdir(folder)
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["dfray", *arguments])
            capfd.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        return Done(ended.value.code, *capfd.readouterr())

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the recipe small.yaml, whose corpus is not there."""
    (tmp_path / "small.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def promoted_run(refused_run: RefusedRun, dfray: Command) -> Path:
    """The folder of that run's recipe; its detector is promoted afterwards with a gate that it passes."""
    folder = refused_run.folder
    if not (folder / "promoted").exists():
        done = dfray(folder, "promote", "small.yaml")
        assert done.code == 0, done.err
        (folder / "promoted").touch()
    return folder
