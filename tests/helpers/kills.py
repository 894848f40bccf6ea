"""Deaths of a process at its n-th call to an MLflow server, or to its database and files.

A call is an HTTP request, a transaction of the database, or a copy of a file into the local artifact store.
For a killed process the server is what it was before that call, so deaths at every call and after the last
one are all states that a kill can leave there.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.helpers.forks import fork

NEVER = 0
LIMIT_S = 600.0


def run_until(call: int, function: Callable[..., object], *arguments: Any, out: Path) -> int:
    """Run function(*arguments) in a process that is killed at the n-th call, from 1; `NEVER`: at none.

    Its output, and the number of its calls as the last line, are in `out`.

    Returns:
        The exit code; negative: the signal that ended it.

    Raises:
        TimeoutError: it did not end.
    """
    out.unlink(missing_ok=True)
    process = fork(_run, call, function, arguments, out=out)
    process.join(LIMIT_S)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"{function} did not end within {LIMIT_S:g} s")
    return process.exitcode


def calls_of(out: Path) -> int:
    """Return the number of calls of a process that ended by itself."""
    return int(out.read_text().split()[-1])


def _run(call: int, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    counter = _Deadly(call)
    counter.watch()
    function(*arguments)
    print(counter.calls, flush=True)


class _Deadly:
    """Counter of calls that kills this process at one of them."""

    def __init__(self, fatal: int) -> None:
        self.fatal, self.calls, self._lock = fatal, 0, threading.Lock()

    def watch(self) -> None:
        """Count the calls of this process from now on."""
        import requests
        import sqlalchemy.event
        from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
        from sqlalchemy.engine import Engine

        sqlalchemy.event.listen(Engine, "begin", self._count)
        for owner, name in (
            (requests.Session, "send"),
            (LocalArtifactRepository, "log_artifact"),
            (shutil, "copy2"),  # of each file of a folder
        ):
            self._wrap(owner, name)

    def _wrap(self, owner: Any, name: str) -> None:
        wrapped = getattr(owner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            self._count()
            return wrapped(*arguments, **options)

        setattr(owner, name, counted)

    def _count(self, *_: Any) -> None:
        with self._lock:
            self.calls += 1
            if self.calls == self.fatal:
                os.kill(os.getpid(), signal.SIGKILL)
