"""`dfray` commands in processes of their own, with no setting of Ray or MLflow in their environment."""

from __future__ import annotations

import os
import resource
import subprocess
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DFRAY = str(Path(sysconfig.get_path("scripts"), "dfray"))


@dataclass(frozen=True)
class Done:
    """Exit code and output of a command, and the CPU seconds of its process."""

    code: int
    out: str
    err: str
    cpu_s: float = 0.0


Command = Callable[..., Done]


def run_in(folder: Path, *command: str, timeout_s: float = 60, **environment: str) -> Done:
    before = children_cpu_s()
    done = subprocess.run(
        command,
        cwd=folder,
        env=plain_environment() | environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr, children_cpu_s() - before)


def plain_environment() -> dict[str, str]:
    """This environment without settings of Ray, MLflow and pytest."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_", "PYTEST"))}


def children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def dfray_process(folder: Path, *arguments: str, **options) -> Done:
    return run_in(folder, DFRAY, *arguments, **options)
