"""Child process in which `dfray.datasets.probe` opens containers; it may crash or hang.

Each message is a line of JSON. It receives {path, n_bytes} and answers {duration_s, problem}; n_bytes is the
size of a remote file, of which it asks for ranges by {fetch: [first byte, number of bytes]} until it is told
that they lie in the local file at `path`, or why not.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, BinaryIO, cast

from dfray.datasets.container import ContainerError, duration_s, open_container
from dfray.datasets.probe import BLOCK_BYTES
from dfray.isolation import bound_memory, end_with, memory_mb

Answer = dict[str, Any]
Fetch = Callable[[int, int], None]


def main() -> None:
    """Serve the socket whose file descriptor is the last argument, until the parent closes it."""
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    connection = Connection(int(sys.argv[-1]))
    bound_memory()
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            task = json.loads(connection.recv_bytes())
            answer = _probe(task["path"], task["n_bytes"], connection)
            connection.send_bytes(json.dumps(answer).encode())


def _probe(path: str, n_bytes: int | None, connection: Connection) -> Answer:
    try:
        if n_bytes is None:
            return _header(path)

        fetch = partial(_fetch, connection)
        with _PartialFile(path, n_bytes, fetch) as file:
            return _header(cast(BinaryIO, file))
    except (EOFError, ConnectionError):
        raise
    except ContainerError as error:
        return _unreadable(error.message.removeprefix("cannot be opened: "))
    except MemoryError:
        return _unreadable(f"takes more than {memory_mb():,} MiB of memory (DFRAY_CHILD_MEMORY_MB)")
    except Exception as error:  # a library may raise anything on a strange file
        return _unreadable(f"{type(error).__name__}: {error}")


def _fetch(connection: Connection, first: int, size: int) -> None:
    """Have the parent copy a range of the remote file, and wait for it."""
    connection.send_bytes(json.dumps({"fetch": [first, size]}).encode())
    if problem := json.loads(connection.recv_bytes())["problem"]:
        raise ContainerError(problem)


def _header(file: str | BinaryIO) -> Answer:
    with open_container(file) as container:
        if not container.streams.video:
            return _unreadable("no video stream")
        stream = container.streams.video[0]
        return {"duration_s": duration_s(container, stream), "problem": None}


def _unreadable(problem: str) -> Answer:
    return {"duration_s": None, "problem": problem}


class _PartialFile(io.RawIOBase):
    """A remote file as FFmpeg reads it, of which blocks are fetched when they are read.

    Args:
        path: of the local file of its size, whose first block was fetched.
    """

    def __init__(self, path: str, n_bytes: int, fetch: Fetch) -> None:
        self._file, self._n_bytes, self._fetch = open(path, "rb"), n_bytes, fetch  # noqa: SIM115
        self._fetched = {0}

    def close(self) -> None:
        self._file.close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        first = self.tell()
        end = self._n_bytes if size < 0 else min(first + size, self._n_bytes)
        for block in range(first // BLOCK_BYTES, -(-end // BLOCK_BYTES)):
            if block not in self._fetched:
                start = block * BLOCK_BYTES
                self._fetch(start, min(BLOCK_BYTES, self._n_bytes - start))
                self._fetched.add(block)
        return self._file.read(max(0, end - first))


if __name__ == "__main__":
    main()
