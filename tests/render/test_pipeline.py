"""What `dfray run` prints at its end: commands that can be pasted into a shell."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from dfray.render import pipeline
from dfray.run_context import RunContext
from tests.helpers.runs import write_faces
from tests.helpers.toy import toy_recipe


@pytest.mark.parametrize("folder", ["runs", "two words", "it's; here"])
def test_commands_hold_a_work_dir_with_blanks_as_one_word(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(pipeline, "show_metrics", lambda metrics: None)
    monkeypatch.setattr(pipeline, "show_decision", lambda decision: None)
    recipe = toy_recipe(tmp_path / folder)
    write_faces(recipe, [])
    result = SimpleNamespace(
        run=RunContext.of(recipe), metrics=object(), decision=None, has_champion=True, scored=[]
    )
    pipeline.show_run(result)  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()
    database = f"sqlite:///{tmp_path / folder / 'mlflow.db'}"
    (ui,) = (line.split(maxsplit=2)[2] for line in lines if line.startswith("runs, models"))
    (score,) = (line.split(maxsplit=2)[2] for line in lines if line.startswith("score files"))
    assert shlex.split(ui) == ["mlflow", "ui", "--backend-store-uri", database]
    assert shlex.split(score) == ["dfray", "score", "FILE...", "--tracking-uri", database]
