"""Digests of many local videos, read by a child process under a time limit: a disk or mount may hang.

A thread that waits for one cannot be ended, and would keep the command from ending.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from dfray import storage
from dfray.errors import StorageError
from dfray.isolation import how_it_ended, start

_COMMAND = (sys.executable, "-P", "-m", "dfray.faces.digest_child")
_END_LIMIT_S = 5.0
"""Time to wait for a killed child: one that waits for a disk may not end."""


class DigestReader:
    """Reader of digests, with one child for all of them, which is started for the first; close it after use.

    Args:
        limit_s: time without a digest after which the file's disk counts as hung.
        command: the child's program; it gets a file descriptor as its last argument.
    """

    def __init__(self, limit_s: float, command: Sequence[str] = _COMMAND) -> None:
        self._limit_s, self._command = limit_s, command
        self._child: tuple[subprocess.Popen[bytes], Connection] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._child is not None:
            process, connection = self._child
            connection.close()
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_LIMIT_S)

    def digests(
        self, videos: Sequence[tuple[str, str]], n_samples: int = storage.SAMPLES
    ) -> list[str | None]:
        """Return the digest of each local video, as `content_digest`; None: there is none.

        Args:
            videos: URI and kind, as in VIDEOS.
            n_samples: as in `content_digest`.

        Raises:
            StorageError: the disk of one hangs, or the child ended; the message names the video.
        """
        if not videos:
            return []
        if self._child is None:
            self._child = start(self._command, subprocess.DEVNULL)
        connection = self._child[1]
        task = {"videos": list(map(list, videos)), "n_samples": n_samples}
        with contextlib.suppress(ConnectionError):  # what ended the child is told below
            connection.send_bytes(json.dumps(task).encode())
        return [self._next(uri) for uri, _ in videos]

    def _next(self, uri: str) -> str | None:
        assert self._child is not None
        process, connection = self._child
        try:
            if connection.poll(self._limit_s):
                digest: str | None = json.loads(connection.recv_bytes())
                return digest
        except (EOFError, ConnectionError):
            code = process.wait()
            raise StorageError(
                f"{uri}: the process that reads its digest ended {how_it_ended(code)}.",
                "Run the same command again.",
            ) from None
        raise StorageError(
            f"{uri}: nothing came from its disk or mount for {self._limit_s:g} s (faces.stall_limit_s).",
            "Look at the disk or mount, take the file out of the corpus, or raise the limit.",
        )
