"""Progress of a stage: a redrawn line on a terminal, a line from time to time in a log."""

from __future__ import annotations

import pytest

from dfray import progress
from dfray.errors import TrainingError


def test_in_a_log_a_stage_says_from_time_to_time_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_LOG_EVERY_S", 0.0)
    with progress.stage("train", 6) as line:
        line.update(done=2, detail="step 3/9")
        monkeypatch.setattr(progress, "_LOG_EVERY_S", 60.0)
        line.update(done=3, detail="step 1/9")
        line.finish("best epoch 2")
    first, last = capsys.readouterr().err.splitlines()
    assert first == "· train  2/6  step 3/9"
    assert last.startswith("✓ train")
    assert "6/6" in last


def test_an_error_that_ends_a_stage_is_noted_with_it():
    with pytest.raises(TrainingError) as caught, progress.stage("train"):
        raise TrainingError("It failed.")
    assert caught.value.__notes__ == [f"{progress.STAGE_NOTE}train"]
    assert str(caught.value) == "It failed."


def test_in_a_log_what_a_stage_ends_with_is_not_cut_off(capsys):
    with progress.stage("finalists", 12) as line:
        line.finish("best auc 0.9412, 5 stopped, 1 failed")
    assert "best auc 0.9412, 5 stopped, 1 failed" in capsys.readouterr().err
