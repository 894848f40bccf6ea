"""Progress of a stage: a redrawn line on a terminal, a line from time to time in a log."""

from __future__ import annotations

import pytest

from dfray import progress
from dfray.errors import TrainingError
from dfray.notes import note, quietly


def test_in_a_log_a_stage_says_from_time_to_time_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_LOG_EVERY_S", 0.0)
    with progress.stage("train", 6) as line:
        line.update(done=2, detail="step 3/9")
        monkeypatch.setattr(progress, "_LOG_EVERY_S", 60.0)
        line.update(done=3, detail="step 1/9")
        line.finish("best epoch 2")
    first, last = capsys.readouterr().err.splitlines()
    assert first == "· train           2/6 0:00:00 step 3/9"
    assert last == "✓ train           6/6 0:00:00 best epoch 2"


def test_an_error_that_ends_a_stage_is_noted_with_it():
    with pytest.raises(TrainingError) as caught, progress.stage("train"):
        raise TrainingError("It failed.")
    assert caught.value.__notes__ == [f"{progress.STAGE_NOTE}train"]
    assert str(caught.value) == "It failed."


def test_a_line_of_a_log_is_whole_whatever_its_length(capsys):
    with progress.stage("manifest") as line:
        line.say(f"{'n' * 400} [note]")
        line.finish("d" * 400)
    said, last = capsys.readouterr().err.splitlines()
    assert said == f"{'n' * 400} [note]"
    assert last.endswith("d" * 400)


@pytest.mark.parametrize("error", [TrainingError("It failed."), KeyboardInterrupt()])
def test_a_stage_that_an_error_ended_has_no_tick(error, capsys):
    def train() -> None:
        with progress.stage("train", 6) as line:
            line.update(done=2, detail="step 3/9")
            raise error

    with pytest.raises(type(error)):
        train()
    assert capsys.readouterr().err == "✗ train           2/6 0:00:00 step 3/9\n"


def test_a_stage_that_refused_or_did_nothing_has_no_tick(capsys):
    with progress.stage("promote") as line:
        line.finish("refused", progress.FAILED)
    with progress.stage("score") as line:
        line.finish("skipped", progress.ASIDE)
    assert [line[0] for line in capsys.readouterr().err.splitlines()] == ["✗", "·"]


def test_a_quiet_command_shows_no_stage(capsys):
    with quietly(), progress.stage("train", 6) as line:
        line.say("a note")
        line.update(done=1)
        line.finish("done")
    note("another")
    with quietly():
        note("a third")
    assert capsys.readouterr().err == "another\n"


def test_on_a_terminal_the_line_is_redrawn_and_ends_with_its_mark(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with progress.stage("train", 6) as line:
        line.update(done=2, detail="step 3/9")
        line.finish("best epoch 2")
    with pytest.raises(TrainingError), progress.stage("extract") as line:
        raise TrainingError("It failed.")
    shown = capsys.readouterr().err
    assert "✓" in shown
    assert "6/6" in shown
    assert "best epoch 2" in shown
    assert "✗" in shown
