"""Extraction stages of several checkouts, each in a process of its own, driven by a benchmark."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PROGRAM = Path(__file__).with_name("build_stage.py")


class BuildStage:
    """The running extraction stage of one checkout."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def extract(self, uri: object) -> float:
        """Return the CPU seconds of a shard of the video at `uri`, for each of its videos."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{uri}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


@contextmanager
def running_stages(
    checkouts: Mapping[str, Path], *arguments: object
) -> Iterator[dict[str, BuildStage]]:
    """Start the stage of each checkout, with `arguments` of `build_stage`; end them."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(_running(path, *arguments))
            for name, path in checkouts.items()
        }


@contextmanager
def _running(checkout: Path, *arguments: object) -> Iterator[BuildStage]:
    with subprocess.Popen(
        [sys.executable, str(_PROGRAM), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout)},
    ) as process:
        yield BuildStage(process)
