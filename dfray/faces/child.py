"""Child process in which `dfray.faces.supervise` decodes and detects; it may crash or hang.

It imports neither Ray, MLflow nor torch. It receives and sends `dfray.faces.messages` over one inherited
socket.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Protocol

from dfray.config import FacesSection
from dfray.errors import DfrayError, first_line
from dfray.faces.messages import (
    Alive,
    Answer,
    ContentRead,
    Failed,
    FrameFound,
    RangesCopied,
    RangesNeeded,
    Ready,
    SourceDone,
    StreamRead,
    Task,
)
from dfray.faces.partial import fetch_needed
from dfray.faces.properties import OnStream, StreamProperties
from dfray.faces.sampling import Sampling, sampling_of
from dfray.faces.sources import LocalVideo, PartialVideo, Source, VideoFile
from dfray.faces.video import Frame, VideoExtractor, block_start
from dfray.isolation import bound_memory, end_with, memory_mb
from dfray.storage import Range

ALIVE_EVERY_S = 1.0


class Extractor(Protocol):
    """Interface of `VideoExtractor`, for which tests put in others."""

    def extract(
        self,
        source: Source,
        first_frame: int,
        on_picture: Callable[[], None],
        on_stream: OnStream,
        thumbnail_px: int | None,
    ) -> Iterator[Frame]: ...

    def close(self) -> None: ...


def main(build: Callable[[FacesSection], Extractor] = VideoExtractor) -> None:
    """Serve the socket whose file descriptor is the last argument, until the parent closes it."""
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    connection = Connection(int(sys.argv[-1]))
    try:
        _limit_threads()
        settings: FacesSection = connection.recv()
        extractor = build(settings)
    except DfrayError as error:
        connection.send(Failed(error))
        return
    except Exception as error:
        connection.send(Failed(DfrayError(f"{first_line(error)}.")))
        return
    bound_memory()
    connection.send(Ready())
    with contextlib.suppress(EOFError, ConnectionError):  # the parent closed the socket
        while True:
            _extract(connection.recv(), extractor, sampling_of(settings), connection)
    extractor.close()
    os._exit(0)  # MediaPipe's own end is slow and noisy


def _extract(task: Task, extractor: Extractor, sampling: Sampling, connection: Connection) -> None:
    """Send the frames of one source, and how it ended."""
    answers = _Answers(connection)
    reason, source = None, task.source
    try:
        if isinstance(source, PartialVideo):
            start = block_start(task.first_frame)
            fetch_needed(source, sampling, start, answers.fetch, answers.send_alive)
            source = VideoFile(source.path)
        elif isinstance(source, LocalVideo):
            answers.send_digest(source.digest())
            source = source.source()
        frames = extractor.extract(
            source, task.first_frame, answers.send_alive, answers.send_stream, task.thumbnail_px
        )
        for frame in frames:
            answers.send_frame(frame)
    except ConnectionError:
        raise
    except DfrayError as error:
        reason = str(error)
    except MemoryError:
        reason = f"takes more than {memory_mb():,} MiB of memory (DFRAY_CHILD_MEMORY_MB)"
    except Exception as error:
        # A library may raise anything on a strange file; it costs that file only.
        reason = f"{type(error).__name__}: {error}"
    answers.send_end(reason)


class _Answers:
    """Sends the answers to one task, with the CPU time since it began."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._start_s = time.process_time()
        self._sent_s = time.monotonic()

    def send_frame(self, frame: Frame) -> None:
        self._send(FrameFound(frame, self._cpu_s()))

    def send_stream(self, properties: StreamProperties) -> None:
        self._send(StreamRead(properties, self._cpu_s()))

    def send_digest(self, digest: str | None) -> None:
        self._send(ContentRead(digest, self._cpu_s()))

    def fetch(self, ranges: list[Range]) -> None:
        """Have the parent copy ranges of the task's PartialVideo, and wait for it.

        Raises:
            StorageError: they cannot be read.
        """
        self._send(RangesNeeded(ranges, self._cpu_s()))
        answer: RangesCopied = self._connection.recv()
        if answer.error is not None:
            raise answer.error

    def send_alive(self) -> None:
        if time.monotonic() - self._sent_s >= ALIVE_EVERY_S:
            self._send(Alive(self._cpu_s()))

    def send_end(self, reason: str | None) -> None:
        self._send(SourceDone(reason, self._cpu_s()))

    def _cpu_s(self) -> float:
        return time.process_time() - self._start_s

    def _send(self, answer: Answer) -> None:
        self._connection.send(answer)
        self._sent_s = time.monotonic()


def _limit_threads() -> None:
    import cv2

    cv2.setNumThreads(1)


if __name__ == "__main__":
    main()
