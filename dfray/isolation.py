"""Isolation of child processes that open files of strangers: no credentials, bounded memory, one parent."""

from __future__ import annotations

import fnmatch
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

_ALLOWED = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "TEMP", "TMP",
    "LD_*", "DYLD_*", "PYTHON*", "VIRTUAL_ENV", "COVERAGE_*", "DFRAY_CACHE", "XDG_*", "MPLCONFIGDIR",
    "*_NUM_THREADS", "OMP_*", "OPENBLAS_*", "MKL_*", "MALLOC_*", "TF_*", "GLOG_*", "DFRAY_CHILD_MEMORY_MB",
)  # fmt: skip
"""Patterns of names of variables that native libraries and Python read."""
_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(128 * 2**20),
}
"""Bounds of glibc's allocator that keep a freed picture's memory for the next one. Else it goes back to the
kernel, which clears every page of it again: 0.4 to 1.3 ms of CPU a picture of 720p."""
_MEMORY_MB = 4096
"""Memory for one file; the largest picture, of 9,459 px square and 16 bits, took 2.5 GiB, 8K video 0.9."""


def start(
    command: Sequence[str], log: int | IO[bytes]
) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a child; return it and the socket to it, whose file descriptor is its last argument.

    Args:
        log: takes what it prints.
    """
    own_end, child_end = socket.socketpair()
    with child_end:
        process = subprocess.Popen(
            [*command, str(child_end.fileno())],
            pass_fds=[child_end.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=isolated_environment(),
        )
    return process, Connection(own_end.detach())


def how_it_ended(code: int) -> str:
    """Return the end of a sentence about a child that died, by its return code."""
    return f"with {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"


def isolated_environment() -> dict[str, str]:
    """Return the variables that a child inherits, its path of modules and its allocator's bounds."""
    allowed = {
        name: value
        for name, value in os.environ.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in _ALLOWED)
    }
    return _ALLOCATOR | allowed | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def memory_mb() -> int:
    """Return the memory that a child may take for one file, MiB: DFRAY_CHILD_MEMORY_MB."""
    return int(os.environ.get("DFRAY_CHILD_MEMORY_MB") or _MEMORY_MB)


def bound_memory() -> None:
    """Let this process take `memory_mb` more than it has: above, Python raises MemoryError, others abort.

    Only where Linux tells what it has: elsewhere there is no bound.
    """
    import resource

    status = Path("/proc/self/status")
    if not status.exists():
        return
    sizes = dict(line.split(":", 1) for line in status.read_text().splitlines())
    now = int(sizes["VmData"].split()[0]) * 2**10
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    bound = now + memory_mb() * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (bound if most < 0 else min(bound, most), most))


def end_with(parent: int) -> None:
    """End this process, however busy, within a second of the end of its parent; call it in a thread.

    Linux's PR_SET_PDEATHSIG would signal the end of the thread that started this process, not of the parent.
    """
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
