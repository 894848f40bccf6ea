"""Log of a command in the folder of the run that it works on: what it printed, and tracebacks of its errors.

An error's traceback comes after the last lines that other processes wrote to stderr, if they were kept.
Lines wait until the command has claimed a run. On a disk each is then written at once; an object store's
file is replaced every half a minute and at the end. Users, passwords, tokens and signatures of URIs are
masked.
"""

from __future__ import annotations

import os
import shlex
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from dfray import storage
from dfray.errors import StorageError
from dfray.notes import listening
from dfray.text import visible, visible_line

NAME = "log.txt"
LIMIT_BYTES = 1 << 20
"""Size above which the older half is dropped."""
_REPLACE_S = 30.0
_KEPT_LINES, _KEPT_CHARACTERS = 200, 1000
"""Lines of other processes that are kept for an error, and characters of each."""
LOG_NOTE = "log: "
"""Prefix of the note on an error that a log has; its URI follows."""
_LOG: ContextVar[CommandLog | None] = ContextVar("log", default=None)


class CommandLog:
    """Lines of one command."""

    def __init__(self, command: Sequence[str]) -> None:
        self.uri: str | None = None
        self._lock = threading.RLock()
        self._pending: list[str] = []
        self._kept: deque[str] = deque(maxlen=_KEPT_LINES)
        self._written_at = 0.0
        self._is_broken = False
        began = datetime.now(UTC).isoformat(timespec="seconds")
        where = f"{socket.gethostname()}, pid {os.getpid()}"
        self._pending.append(
            f"== {began} {visible_line(shlex.join(['dfray', *command]))} ({where})\n"
        )

    def add(self, text: str) -> None:
        """Add lines, each with the time (UTC)."""
        now = datetime.now(UTC).strftime("%H:%M:%S")
        with self._lock:
            self._pending += [f"{now} {line}\n" for line in visible(text).splitlines()]
            self._attempt(lambda: self._write(at_end=False))

    def keep(self, line: str) -> None:
        """Keep a line that another process wrote to stderr, in case that the command fails."""
        self._kept.append(visible_line(line)[:_KEPT_CHARACTERS])

    def add_error(self, error: Exception) -> None:
        """Add the kept lines and the traceback of the error that ends the command."""
        if kept := list(self._kept):
            self.add("\n".join(["Other processes wrote to stderr:", *kept]))
        self.add("".join(traceback.format_exception(error)))

    def write_to(self, folder: str) -> None:
        """Write the lines so far, and all that follow, below a folder; the first one that is named counts."""
        with self._lock:
            if self.uri is None:
                self.uri = storage.join(folder, NAME)
                self._attempt(lambda: self._write(at_end=False))

    def close(self) -> None:
        """Write what is left."""
        with self._lock:
            self._attempt(lambda: self._write(at_end=True))

    def _attempt(self, action: Callable[[], None]) -> None:
        """Write nothing more after a fault, which is printed."""
        try:
            if not self._is_broken:
                action()
        except (StorageError, OSError) as error:
            self._is_broken = True
            print(f"The log {self.uri} is not continued: {error}", file=sys.stderr)

    def _write(self, *, at_end: bool) -> None:
        if self.uri is None or not self._pending:
            return
        text = "".join(self._pending).encode("utf-8", "backslashreplace")
        if storage.is_remote(self.uri):
            if not at_end and time.monotonic() - self._written_at < _REPLACE_S:
                return
            # Read again each time: the next command on the run may have begun.
            earlier = storage.read_bytes(self.uri) if storage.exists(self.uri) else b""
            storage.write_bytes(_younger_half(earlier + text), self.uri)
            self._written_at = time.monotonic()
        else:
            with open(self.uri, "ab") as file:
                file.write(text)
                n_bytes = file.tell()
            if n_bytes > LIMIT_BYTES:
                storage.write_bytes(_younger_half(storage.read_bytes(self.uri)), self.uri)
        self._pending.clear()


def _younger_half(content: bytes) -> bytes:
    """Return the last lines of a log that is too long, and another one as it is."""
    if len(content) <= LIMIT_BYTES:
        return content
    return content[-LIMIT_BYTES // 2 :].partition(b"\n")[2]


@contextmanager
def logged(command: Sequence[str]) -> Iterator[None]:
    """Log what the block prints, and the traceback of an error that leaves it.

    A log that cannot be written costs a line on stderr, and not the command.

    Args:
        command: words of the command line after `dfray`.
    """
    log = CommandLog(command)
    token = _LOG.set(log)
    try:
        with listening(log.add):
            yield
    except Exception as error:
        log.add_error(error)
        if log.uri is not None:
            error.add_note(f"{LOG_NOTE}{log.uri}")
        raise
    except KeyboardInterrupt:
        log.add("Interrupted.")
        raise
    finally:
        _LOG.reset(token)
        log.close()


def current_log() -> CommandLog | None:
    """Return the log of this command, if it has one."""
    return _LOG.get()


def log_to(folder: str) -> None:
    """Write the log of this command, if it has one, below the folder of a run."""
    log = current_log()
    if log is not None:
        log.write_to(folder)
