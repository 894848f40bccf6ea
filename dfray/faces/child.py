"""The child process in which `dfray.faces.supervise` decodes and detects; it may crash or hang.

It imports neither Ray nor torch. Over one inherited socket it is told the settings and then one video
after the other, and answers with (kind, cpu_s, payload); cpu_s is the CPU time of this video so far:

    ready   the detector is loaded
    failed  it cannot be: the error
    frame   a Frame
    alive   packets are being read; at most one a second
    end     the video is done: the reason if it could not be read, else none
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
from dfray.faces.images import Images
from dfray.faces.video import Frame, VideoExtractor

ALIVE_EVERY_S = 1.0


class Extractor(Protocol):
    """What `VideoExtractor` offers."""

    def extract(
        self, video: str | Images, first_frame: int, on_packet: Callable[[], None]
    ) -> Iterator[Frame]: ...

    def close(self) -> None: ...


def main(build: Callable[[FacesSection], Extractor] = VideoExtractor) -> None:
    """Serve the socket whose file descriptor is the last argument, until the parent hangs up."""
    threading.Thread(target=_die_with, args=(os.getppid(),), daemon=True).start()
    connection = Connection(int(sys.argv[-1]))
    try:
        _limit_threads()
        extractor = build(connection.recv())
    except Exception as error:
        known = isinstance(error, DfrayError)
        connection.send(("failed", 0.0, error if known else DfrayError(f"{first_line(error)}.")))
        return
    connection.send(("ready", 0.0, None))
    with contextlib.suppress(EOFError, ConnectionError):  # the parent hangs up
        _serve(connection, extractor)
    extractor.close()
    os._exit(0)  # MediaPipe's own end is slow and noisy


def _serve(connection: Connection, extractor: Extractor) -> None:
    while True:
        video, first_frame = connection.recv()
        answers = _Answers(connection)
        reason = None
        try:
            for frame in extractor.extract(video, first_frame, answers.alive):
                answers.send("frame", frame)
        except ConnectionError:
            raise
        except DfrayError as error:
            reason = str(error)
        except Exception as error:
            # Whatever a library makes of a strange file costs that file only.
            reason = first_line(error)
        answers.send("end", reason)


class _Answers:
    """Sends the answers about one video."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._start_s = time.process_time()
        self._sent_s = time.monotonic()

    def send(self, kind: str, payload: object = None) -> None:
        self._connection.send((kind, time.process_time() - self._start_s, payload))
        self._sent_s = time.monotonic()

    def alive(self) -> None:
        if time.monotonic() - self._sent_s >= ALIVE_EVERY_S:
            self.send("alive")


def _die_with(parent: int) -> None:
    """End this process, however busy, within a second of its parent's end.

    Linux's PR_SET_PDEATHSIG would tell of the end of the thread that started us, not of the process.
    """
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _limit_threads() -> None:
    import cv2

    cv2.setNumThreads(1)


if __name__ == "__main__":
    main()
