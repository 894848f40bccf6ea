"""Identity of a process, by which another one can tell later if it has ended."""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path

_START_TOLERANCE_S = 2.0
"""Start times of one process differ by the corrections of the clock since the machine started."""


@functools.cache
def this_machine() -> str:
    """Return the identity of the machine's start and of the process namespace: what a pid is unique in."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return socket.gethostname()


def start_time(pid: int) -> float | None:
    """Return when a process of this machine started, in UNIX seconds; None: there is no such process."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def has_ended(pid: int, started: float) -> bool:
    """Return True if the process of this machine that started then is gone, though its pid may be in use."""
    now = start_time(pid)
    return now is None or abs(now - started) > _START_TOLERANCE_S
