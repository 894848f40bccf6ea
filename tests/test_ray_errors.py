"""Errors of Ray's processes: kept for the log of a command that fails, and not printed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dfray.command_log import log_to, logged
from dfray.ray_errors import errors_kept, keep_start_errors


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What Ray's own printer would print."""
    from ray._private import worker

    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(worker, "print_to_stdstream", lambda output, ignore: lines.append(output))
    return lines


def hand_over(output: dict[str, Any]) -> None:
    """Hand output to Ray's printer, as the threads of a driver do."""
    from ray._private import worker

    worker.print_to_stdstream(output, False)


def published(line: str, **changes: Any) -> dict[str, Any]:
    """Return a line as Ray publishes it."""
    message = {"ip": "10.0.0.1", "pid": 7, "job": "01", "is_err": True, "lines": [line]}
    return message | {"actor_name": None, "task_name": None, "localhost": "10.0.0.1"} | changes


@pytest.mark.parametrize("shown", [False, True])
def test_errors_of_all_processes_stand_before_the_traceback_in_the_log(
    tmp_path: Path, printed: list[dict[str, Any]], shown: bool
) -> None:
    messages = [
        published("of an actor", actor_name="RayTrainWorker"),
        published("of a task", task_name="extract"),
        published("of a node", pid="gcs_server"),
        {"pid": "raylet", "is_err": False, "lines": ["A worker died."]},
        published("printed", is_err=False),
        published(""),
        published("[2026-11-29 14:42:13,408 I 136 136] logging.cc:303: Set ray log level"),
    ]
    with suppress(ValueError), logged(["train"]):
        log_to(str(tmp_path))
        with errors_kept(shown=shown):
            for message in messages:
                hand_over(message)
        hand_over(published("of a later session"))
        raise ValueError("of the driver")
    lines = [line[9:] for line in (tmp_path / "log.txt").read_text().splitlines()]
    start = lines.index("Other processes wrote to stderr:")
    assert lines[start + 1 : start + 6] == [
        "(RayTrainWorker pid=7, ip=10.0.0.1) of an actor",
        "(extract pid=7, ip=10.0.0.1) of a task",
        "(Ray pid=gcs_server, ip=10.0.0.1) of a node",
        "(Ray raylet) A worker died.",
        "Traceback (most recent call last):",
    ]
    assert printed[:-1] == (messages if shown else [])


def test_without_a_log_ray_prints_as_it_would(printed: list[dict[str, Any]]) -> None:
    with errors_kept(shown=False):
        hand_over(published("of an actor"))
    assert printed == [published("of an actor")]


def test_a_local_ray_that_does_not_start_leaves_its_last_lines_in_the_log(tmp_path: Path) -> None:
    logs = tmp_path / "ray" / "session_latest" / "logs"
    logs.mkdir(parents=True)
    (logs / "gcs_server.out").write_text("".join(f"line {n}\n" for n in range(30)))
    with suppress(ValueError), logged(["train"]):
        log_to(str(tmp_path))
        keep_start_errors(str(tmp_path / "ray"))
        keep_start_errors(None)
        raise ValueError("of the driver")
    lines = [line[9:] for line in (tmp_path / "log.txt").read_text().splitlines()]
    assert [line for line in lines if line.startswith("(gcs_server.out) ")] == [
        f"(gcs_server.out) line {n}" for n in range(10, 30)
    ]
