"""Extraction that survives its videos: a child process does the work, under a time limit.

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
from collections.abc import Generator, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from dfray.config import FacesSection
from dfray.errors import ExtractionError, StorageError
from dfray.faces.images import Images, local_video
from dfray.faces.video import Frame, Status, VideoEnd

RECYCLE_AFTER = 300
"""Videos after which a child makes room for a fresh one, as MediaPipe leaks a little."""
START_LIMIT_S = 300.0
_COMMAND = (sys.executable, "-P", "-m", "dfray.faces.child")
_REMARK = re.compile(r"(INFO|WARNING|[IW]\d{4} [\d:.]+ )")
"""How MediaPipe and TFLite begin what they say in good health, at any time and from any thread."""


class SupervisedExtractor:
    """As `VideoExtractor`, but no video can end or stop it; close it after use.

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
        """The sampled frames of the video in order, none twice, and last a VideoEnd.

        Args:
            kind, stride: as in VIDEOS.
        """
        try:
            with local_video(uri, kind, stride) as video:
                yield from self._extract(video)
        except StorageError as error:
            yield VideoEnd("unreadable", str(error), 1, 0.0)

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _extract(self, video: str | Images) -> Iterator[Frame | VideoEnd]:
        so_far = _SoFar()
        for _ in range(self._settings.attempts):
            failure = yield from self._attempt(video, so_far)
            if failure is None:
                break
        yield so_far.end(failure)

    def _attempt(
        self, video: str | Images, so_far: _SoFar
    ) -> Generator[Frame, None, _ChildFailure | None]:
        """Let a child work on the rest of the video; returns how that failed, if it did."""
        child = self._fresh_enough()
        so_far.attempts += 1
        cpu_before = so_far.cpu_s
        is_done = False
        try:
            child.ask(video, so_far.next_frame)
            while not is_done:
                kind, cpu_s, payload = child.answer(self._settings.stall_limit_s)
                so_far.cpu_s = cpu_before + cpu_s
                if kind == "frame":
                    so_far.add(payload)
                    yield payload
                elif kind == "end":
                    so_far.unreadable = payload
                    is_done = True
        except _ChildFailure as failure:
            last = so_far.next_frame - 1
            failure.reason += f" after frame {last}" if last >= 0 else " before the first frame"
            failure.reason += child.last_words()
            return failure
        finally:
            if not is_done:  # also when nobody wants the rest
                child.kill()
        return None

    def _fresh_enough(self) -> _Child:
        child = self._child
        if child is not None and (child.asked >= RECYCLE_AFTER or not child.is_alive()):
            child.close()
            child = None
        self._child = child or _Child(self._settings, self._command)
        return self._child


class _SoFar:
    """What is known of a video while it is extracted."""

    def __init__(self) -> None:
        self.attempts = 0
        self.next_frame = 0
        self.cpu_s = 0.0
        self.unreadable: str | None = None
        self._outcomes: Counter[str] = Counter()
        self._first_reason: str | None = None

    def add(self, frame: Frame) -> None:
        self.next_frame = frame.frame_index + 1
        self._outcomes[frame.outcome] += 1
        self._first_reason = self._first_reason or frame.reason

    def end(self, failure: _ChildFailure | None) -> VideoEnd:
        status: Status = "unreadable"
        reason = self.unreadable or self._first_reason
        if failure:
            status, reason = failure.status, failure.reason
        elif self._outcomes["faces"]:
            status, reason = "ok", self.unreadable
        elif self._outcomes["no_face"]:
            status, reason = "no_face", self.unreadable or "no face in any frame"
        return VideoEnd(status, reason, self.attempts, self.cpu_s)


class _ChildFailure(Exception):  # noqa: N818 - it is told, not raised to users
    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status: Status = status
        self.reason = reason


class _Child:
    """A running child process and the socket to it."""

    def __init__(self, settings: FacesSection, command: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in kill
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self._connection = Connection(ours.detach())
        self.asked = 0
        self._start(settings)

    def _start(self, settings: FacesSection) -> None:
        try:
            self._connection.send(settings)
            kind, _, payload = self.answer(START_LIMIT_S)
        except (_ChildFailure, ConnectionError) as error:
            words = self.last_words()
            self.kill()
            raise ExtractionError(
                f"The process that extracts faces did not start: {error}{words}.",
                "Check that `python -c 'import av, cv2, mediapipe'` works on this machine.",
            ) from error
        if kind == "failed":
            self.kill()
            raise payload

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, video: str | Images, first_frame: int) -> None:
        self.asked += 1
        self._log.seek(0)
        self._log.truncate()
        try:
            self._connection.send((video, first_frame))
        except ConnectionError:
            raise self._death() from None

    def answer(self, limit_s: float) -> tuple[str, float, Any]:
        """The next (kind, cpu_s, payload).

        Raises:
            _ChildFailure: the child has died, or says nothing for `limit_s`.
        """
        try:
            if self._connection.poll(limit_s):
                return self._connection.recv()
        except (EOFError, ConnectionError):
            raise self._death() from None
        raise _ChildFailure("timed_out", f"nothing came from the decoder for {limit_s:g} s")

    def last_words(self) -> str:
        """The last complaint that the child wrote, if any, to be put behind a reason."""
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
