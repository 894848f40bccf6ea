"""Processes forked from one that has imported MLflow and the registry, which takes CPU-seconds each time.

For tests of processes that work side by side or die; what a fresh process imports or prints is tested with
`subprocess` (tests/cli, tests/test_imports.py).
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        "tests.registry.promoter",
        "mlflow.store.tracking.sqlalchemy_store",
        "mlflow.store.model_registry.sqlalchemy_store",
    ]
)


def fork(
    function: Callable[..., None], *arguments: object, out: Path, **options: object
) -> ForkServerProcess:
    """Start function(*arguments, **options) in a process whose output is written to `out`."""
    process = _context.Process(target=_redirected, args=(out, function, arguments), kwargs=options)
    process.start()
    return process


def _redirected(
    out: Path, function: Callable[..., None], arguments: tuple[object, ...], **options: object
) -> None:
    file = os.open(out, os.O_WRONLY | os.O_CREAT)
    os.dup2(file, 1)
    function(*arguments, **options)
