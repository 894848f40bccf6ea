"""Find the processes of this test's Ray, to kill them as a fault would."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import psutil


def ray_processes(title: str, of: int | None = None) -> list[psutil.Process]:
    """Descendants of a driver (this process) whose title begins with `title`, as ray::RayTrainWorker."""
    found = []
    for process in psutil.Process(of or os.getpid()).children(recursive=True):
        try:
            if process.cmdline() and process.cmdline()[0].startswith(title):
                found.append(process)
        except psutil.Error:
            continue
    return found


def title(process: psutil.Process) -> str:
    """Its command line, which Ray's workers write what they do into; empty if it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def wait_for(condition: Callable[[], bool], timeout_s: float = 90.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("what the test waits for did not come about")
        time.sleep(0.05)
