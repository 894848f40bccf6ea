"""Header of a video container: its video stream and duration, read without decoding.

FFmpeg opens the file in a child process without credentials: a strange file may crash it. Of a remote file
this process fetches the bytes that the child asks for. A few children serve all threads of this process.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any

from dfray import storage
from dfray.errors import StorageError
from dfray.isolation import how_it_ended, start

BLOCK_BYTES = 2**20
"""Bytes of a remote file that are fetched at once."""
LIMIT_S = 60.0
"""Time that the child may take between two messages."""
_ATTEMPTS = 2
"""Children that a file may end: one may be killed for want of memory, whatever it reads."""
_MOST_CHILDREN = 4
_PATIENCE_S = 1.0
"""Time that a thread waits for a child before it starts another: most corpora need one."""
_COMMAND = (sys.executable, "-P", "-m", "dfray.datasets.probe_child")


@dataclass(frozen=True)
class Probe:
    """The duration that a container states, if it does; the reason why it cannot be opened, if so."""

    duration_s: float | None
    problem: str | None


def probe(uri: str) -> Probe:
    """Read the header of the container at `uri`, and only its bytes, on s3 as well."""
    try:
        if storage.serves_ranges(uri):
            return _probe_in_parts(uri)
        with storage.local_copy(uri) as path:
            if problem := storage.why_not_regular(path) or _why_empty(path):
                return Probe(None, problem)
            return _pool().probe(path)
    except StorageError as error:
        return Probe(None, error.message)


def _probe_in_parts(uri: str) -> Probe:
    with storage.partial_copy(uri) as copy:
        if copy.n_bytes == 0:
            return Probe(None, "empty file")
        copy.fetch([(0, min(BLOCK_BYTES, copy.n_bytes))])
        return _pool().probe(copy.path, copy)


def _why_empty(path: str) -> str | None:
    try:
        return None if os.path.getsize(path) else "empty file"
    except OSError as error:
        return str(error.strerror)
    except ValueError as error:  # a name that no file can have
        return str(error)


class _Child:
    """A running child process."""

    def __init__(self) -> None:
        self._process, self._connection = start(_COMMAND, subprocess.DEVNULL)

    def probe(self, path: str, copy: storage.PartialCopy | None) -> Probe:
        """Return what the child says of a file.

        Raises:
            OSError, EOFError: it has died.
            TimeoutError: it is silent.
        """
        answer = self._ask({"path": path, "n_bytes": copy and copy.n_bytes})
        while copy is not None and "fetch" in answer:
            answer = self._ask({"problem": _fetched(copy, *answer["fetch"])})
        return Probe(answer["duration_s"], answer["problem"])

    def close(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def why_dead(self) -> str:
        try:
            return f"the decoder crashed {how_it_ended(self._process.wait(timeout=5))}"
        except subprocess.TimeoutExpired:
            return "the decoder closed its connection"

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        self._connection.send_bytes(json.dumps(message).encode())
        if not self._connection.poll(LIMIT_S):
            raise TimeoutError
        answer: dict[str, Any] = json.loads(self._connection.recv_bytes())
        return answer


class _Pool:
    """Children that wait for files; more are started only while all are long at work."""

    def __init__(self) -> None:
        self._idle: queue.SimpleQueue[_Child] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._count = 0

    def probe(self, path: str, copy: storage.PartialCopy | None = None) -> Probe:
        """Have a child open a file; one that dies at it `_ATTEMPTS` times, or hangs, costs this file."""
        for _ in range(_ATTEMPTS):
            child = self._idle_child()
            try:
                header = child.probe(path, copy)
            except TimeoutError:
                self._end(child)
                return Probe(None, f"nothing came from the decoder for {LIMIT_S:g} s")
            except (EOFError, OSError):
                problem = child.why_dead()
                self._end(child)
            else:
                self._idle.put(child)
                return header
        return Probe(None, problem)

    def _end(self, child: _Child) -> None:
        child.close()
        with self._lock:
            self._count -= 1

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get().close()

    def _idle_child(self) -> _Child:
        while True:
            try:
                return self._idle.get(timeout=_PATIENCE_S if self._count else 0)
            except queue.Empty:
                with self._lock:
                    may_start = self._count < _MOST_CHILDREN
                    self._count += may_start
                if may_start:
                    return self._started()

    def _started(self) -> _Child:
        try:
            return _Child()
        except OSError:
            with self._lock:
                self._count -= 1
            raise


_POOLS: dict[int, _Pool] = {}
"""The pool of this process, by its id: one that was forked must not share its parent's."""


def _pool() -> _Pool:
    if os.getpid() not in _POOLS:
        _POOLS[os.getpid()] = pool = _Pool()
        atexit.register(pool.close)
    return _POOLS[os.getpid()]


def _fetched(copy: storage.PartialCopy, first: int, size: int) -> str | None:
    """Fetch a range that the child asked for; return why it cannot be had, if so."""
    try:
        copy.fetch([(first, size)])
    except StorageError as error:
        return error.message
    return None
