"""Programs that run one build, of several checkouts at a time, driven by a benchmark."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Build:
    """The running program of one checkout: it answers each line by a number."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def answer(self, line: object) -> float:
        """Return the program's answer to `line`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


@contextmanager
def running_builds(
    checkouts: Mapping[str, Path], program: str, *arguments: object
) -> Iterator[dict[str, Build]]:
    """Start `program`, a file of this folder, on each checkout; end them."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(_running(path, program, *arguments))
            for name, path in checkouts.items()
        }


@contextmanager
def _running(checkout: Path, program: str, *arguments: object) -> Iterator[Build]:
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name(program)), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout)},
    ) as process:
        yield Build(process)
