"""Child process that decodes and detects, as its parent sees it: its start, its socket, its end.

It decodes files of strangers, so no credentials are in its environment.
"""

from __future__ import annotations

import contextlib
import pickle
import re
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Any

from dfray.config import FacesSection
from dfray.errors import ExtractionError
from dfray.faces.messages import Answer, Failed, RangesCopied, Ready, Task, read_message
from dfray.faces.video import Status
from dfray.isolation import how_it_ended, start

START_LIMIT_S = 300.0
_REMARK = re.compile(r"(INFO|WARNING|[IW]\d{4} [\d:.]+ )")
"""Start of the lines that MediaPipe and TFLite log in normal work, at any time and from any thread."""


class ChildFailure(Exception):  # noqa: N818 - it becomes a VideoEnd, and never reaches users
    """A child that died or stalled."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status: Status = status
        self.reason = reason


class StartFailure(ChildFailure):
    """A child that died or stalled while it started, which is no video's fault."""

    def error(self) -> ExtractionError:
        """Return the error of an extractor of which no child starts."""
        return ExtractionError(
            f"The process that extracts faces did not start: {self.reason}.",
            "Check that `python -c 'import av, cv2, mediapipe'` works on this machine.",
        )


class ChildProcess:
    """A running child process and the socket to it.

    Raises:
        StartFailure: it died or stalled while it started.
        DfrayError: it told why it cannot work.
    """

    def __init__(self, settings: FacesSection, command: Sequence[str]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in kill
        self._process, self._connection = start(command, self._log)
        self.n_tasks = 0
        self._start(settings)

    def _start(self, settings: FacesSection) -> None:
        try:
            self._connection.send(settings)
            answer: Ready | Failed = self._next(START_LIMIT_S)
        except (ChildFailure, ConnectionError) as error:
            reason = f"{error}{self.last_complaint()}"
            self.kill()
            raise StartFailure("crashed", reason) from error
        if isinstance(answer, Failed):
            self.kill()
            raise answer.error

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def begin(self, task: Task) -> None:
        """Hand a task to the child.

        Raises:
            ChildFailure: the child has died.
        """
        self.n_tasks += 1
        self._log.seek(0)
        self._log.truncate()
        self.send(task)

    def send(self, message: Task | RangesCopied) -> None:
        """Send a task, or the answer to what the child asked for.

        Raises:
            ChildFailure: the child has died.
        """
        try:
            self._connection.send(message)
        except ConnectionError:
            raise self._death() from None

    def receive(self, limit_s: float) -> Answer:
        """Return the next answer to the task.

        Raises:
            ChildFailure: the child has died, or sends nothing for `limit_s`.
        """
        answer: Answer = self._next(limit_s)
        return answer

    def _next(self, limit_s: float) -> Any:
        try:
            if self._connection.poll(limit_s):
                return read_message(self._connection.recv_bytes())
        except (EOFError, ConnectionError):
            raise self._death() from None
        except pickle.UnpicklingError as error:
            raise ChildFailure("crashed", f"the decoder sent what is no message: {error}") from None
        raise ChildFailure("timed_out", f"nothing came from the decoder for {limit_s:g} s")

    def last_complaint(self) -> str:
        """Return the last error line that the child wrote, if any, to be put behind a reason."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        complaints = [line for line in lines if not _REMARK.match(line)]
        return f" ({complaints[-1][:200]})" if complaints else ""

    def close(self) -> None:
        """Let the child close its detector and end."""
        self._connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self.kill()

    def kill(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _death(self) -> ChildFailure:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return ChildFailure("crashed", "the decoder closed its connection")
        return ChildFailure("crashed", f"the decoder crashed {how_it_ended(code)}")
