"""Commands that a signal ends: interrupted as by Ctrl-C, with the signal's exit code."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from dfray.cli import main


@pytest.mark.usefixtures("signals_restored")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_signal_interrupts_a_command_and_says_how_to_resume(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, code: int
) -> None:
    monkeypatch.setattr("dfray.stages.run_pipeline", lambda *_, **__: os.kill(os.getpid(), number))
    monkeypatch.setattr(sys, "argv", ["dfray", "run", "demo"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    assert capsys.readouterr().err == "Stopped. Run the same command again to resume.\n"


@pytest.mark.usefixtures("signals_restored")
def test_a_command_under_nohup_survives_the_end_of_its_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup leaves it
    monkeypatch.setattr(sys, "argv", ["dfray", "recipes"])
    with pytest.raises(SystemExit) as ended:
        main()
    os.kill(os.getpid(), signal.SIGHUP)
    assert ended.value.code == 0
    assert "demo" in capsys.readouterr().out
