"""Extraction that survives broken videos: a child process does the work, under a time limit.

Native decoders crash and hang on some files, and Ray would restart an actor on such a file for ever. So
a video that ends its child, or from whose child nothing is heard for `stall_limit_s`, is tried again in
a fresh child, from the first frame not yet delivered, and given up after `attempts`.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Generator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from dfray.config import FacesSection
from dfray.errors import ExtractionError, StorageError
from dfray.faces.messages import Answer, Failed, FrameFound, Ready, SourceDone, StreamRead, Task
from dfray.faces.properties import StreamProperties
from dfray.faces.sources import Source, local_source
from dfray.faces.video import Frame, Status, VideoEnd

RECYCLE_AFTER = 300
"""Videos after which a child is replaced by a fresh one, as MediaPipe leaks a little memory."""
START_LIMIT_S = 300.0
MAX_REASONS = 3
"""Different reasons of its frames that the end of a video states; each frame has its own."""
_COMMAND = (sys.executable, "-P", "-m", "dfray.faces.child")
_REMARK = re.compile(r"(INFO|WARNING|[IW]\d{4} [\d:.]+ )")
"""Start of the lines that MediaPipe and TFLite log in normal work, at any time and from any thread."""


class SupervisedExtractor:
    """Extractor that no video can end or stop: it runs a `VideoExtractor` in a child. Close it after use.

    Args:
        settings: the recipe's faces section.
        command: the child's program; it gets a file descriptor as its last argument.

    Raises:
        ModelFileError: the detector's model is missing, not the expected one, or cannot be loaded.
        ExtractionError: the child cannot be started.
    """

    def __init__(self, settings: FacesSection, command: Sequence[str] = _COMMAND) -> None:
        self._settings, self._command = settings, command
        self._child: _Child | None = _Child(settings, command)

    def extract(
        self, uri: str, kind: str = "video", stride: int = 1
    ) -> Generator[Frame | VideoEnd, None, None]:
        """Yield the sampled frames of the video at `uri` in order, none twice, and last a VideoEnd.

        Args:
            kind, stride: as in VIDEOS.
        """
        try:
            with local_source(uri, kind, stride) as source:
                yield from self.extract_source(source)
        except StorageError as error:
            yield VideoEnd("unreadable", str(error), 1, 0.0)

    def extract_source(self, source: Source) -> Generator[Frame | VideoEnd, None, None]:
        """Yield the sampled frames of `source` in order, none twice, and last a VideoEnd."""
        outcome = _Outcome()
        for _ in range(self._settings.attempts):
            failure = yield from self._attempt(source, outcome)
            if failure is None:
                break
        yield outcome.end(failure)

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _attempt(
        self, source: Source, outcome: _Outcome
    ) -> Generator[Frame, None, _ChildFailure | None]:
        """Yield the rest of the frames from one child; return how the child failed, if it did."""
        child = self._fresh_child()
        outcome.attempts += 1
        cpu_before_s = outcome.cpu_s
        is_done = False
        try:
            child.send(Task(source, outcome.next_frame))
            while not is_done:
                answer = child.receive(self._settings.stall_limit_s)
                outcome.cpu_s = cpu_before_s + answer.cpu_s
                if isinstance(answer, FrameFound):
                    outcome.add(answer.frame)
                    yield answer.frame
                elif isinstance(answer, StreamRead):
                    outcome.stream = answer.properties
                elif isinstance(answer, SourceDone):
                    outcome.unreadable = answer.reason
                    is_done = True
        except _ChildFailure as failure:
            last = outcome.next_frame - 1
            failure.reason += f" after frame {last}" if last >= 0 else " before the first frame"
            failure.reason += child.last_complaint()
            return failure
        finally:
            if not is_done:  # also when the caller leaves the rest
                child.kill()
        return None

    def _fresh_child(self) -> _Child:
        child = self._child
        if child is not None and (child.n_tasks >= RECYCLE_AFTER or not child.is_alive()):
            child.close()
            child = None
        self._child = child or _Child(self._settings, self._command)
        return self._child


class _Outcome:
    """The outcome of a video while it is extracted, over all attempts."""

    def __init__(self) -> None:
        self.attempts = 0
        self.next_frame = 0
        self.cpu_s = 0.0
        self.unreadable: str | None = None
        self.stream = StreamProperties()
        self._outcomes: Counter[str] = Counter()
        self._reasons: dict[str, None] = {}

    def add(self, frame: Frame) -> None:
        self.next_frame = frame.frame_index + 1
        self._outcomes[frame.outcome] += 1
        if frame.reason and len(self._reasons) < MAX_REASONS:
            self._reasons[frame.reason] = None

    def end(self, failure: _ChildFailure | None) -> VideoEnd:
        status: Status = "unreadable"
        reason = self.unreadable or "; ".join(self._reasons) or None
        if failure:
            status, reason = failure.status, failure.reason
        elif self._outcomes["faces"]:
            status = "ok"
        elif self._outcomes["no_face"]:
            status, reason = "no_face", reason or "no face in any frame"
        return VideoEnd(status, reason, self.attempts, self.cpu_s, self.stream)


class _ChildFailure(Exception):  # noqa: N818 - it becomes a VideoEnd, and never reaches users
    """A child that died or stalled."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status: Status = status
        self.reason = reason


class _Child:
    """A running child process and the socket to it."""

    def __init__(self, settings: FacesSection, command: Sequence[str]) -> None:
        own_end, child_end = socket.socketpair()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in kill
        with child_end:
            self._process = subprocess.Popen(
                [*command, str(child_end.fileno())],
                pass_fds=[child_end.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self._connection = Connection(own_end.detach())
        self.n_tasks = 0
        self._start(settings)

    def _start(self, settings: FacesSection) -> None:
        try:
            self._connection.send(settings)
            answer: Ready | Failed = self._next(START_LIMIT_S)
        except (_ChildFailure, ConnectionError) as error:
            complaint = self.last_complaint()
            self.kill()
            raise ExtractionError(
                f"The process that extracts faces did not start: {error}{complaint}.",
                "Check that `python -c 'import av, cv2, mediapipe'` works on this machine.",
            ) from error
        if isinstance(answer, Failed):
            self.kill()
            raise answer.error

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def send(self, task: Task) -> None:
        """Hand a task to the child.

        Raises:
            _ChildFailure: the child has died.
        """
        self.n_tasks += 1
        self._log.seek(0)
        self._log.truncate()
        try:
            self._connection.send(task)
        except ConnectionError:
            raise self._death() from None

    def receive(self, limit_s: float) -> Answer:
        """Return the next answer to the task.

        Raises:
            _ChildFailure: the child has died, or sends nothing for `limit_s`.
        """
        answer: Answer = self._next(limit_s)
        return answer

    def _next(self, limit_s: float) -> Any:
        try:
            if self._connection.poll(limit_s):
                return self._connection.recv()
        except (EOFError, ConnectionError):
            raise self._death() from None
        raise _ChildFailure("timed_out", f"nothing came from the decoder for {limit_s:g} s")

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

    def _death(self) -> _ChildFailure:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return _ChildFailure("crashed", "the decoder closed its connection")
        how = f"with {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"
        return _ChildFailure("crashed", f"the decoder crashed {how}")
