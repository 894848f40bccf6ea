"""Uploads on their way to a replica: pieces in Ray's object store, which any node can read.

The store bounds the memory and writes what exceeds it to disk; the pieces go with the last reference to them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dfray import storage
from dfray.datasets.suffixes import is_picture, is_video, suffix_of
from dfray.service.refusal import Refusal

PIECE_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Upload:
    """A file that a client has sent.

    Attributes:
        name: as the client calls it.
        pieces: references of its bytes in the object store, uint8 (N,) each.
    """

    name: str
    pieces: tuple[Any, ...]

    @contextmanager
    def opened(self) -> Iterator[str]:
        """Yield the path of a temporary file with the content, which is gone after the block."""
        import ray

        with storage.temporary_folder() as folder:
            path = Path(folder, f"upload{suffix_of(self.name)}")
            with path.open("wb") as file:
                for piece in self.pieces:
                    file.write(ray.get(piece))
            yield str(path)


@dataclass(frozen=True)
class Place:
    """A file that a request names, at a place that is opened."""

    name: str
    uri: str

    @contextmanager
    def opened(self) -> Iterator[str]:
        """Yield the place."""
        yield self.uri


class UploadWriter:
    """Writer of an upload while it comes.

    Args:
        max_bytes: of the file.
    """

    def __init__(self, name: str, max_bytes: int) -> None:
        self._name, self._max_bytes = name, max_bytes
        self._buffer, self._n_bytes = bytearray(), 0
        self._pieces: list[Any] = []

    async def write(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            Refusal: the file is larger than allowed: 413.
        """
        self._n_bytes += len(data)
        if self._n_bytes > self._max_bytes:
            raise too_large(self._max_bytes)
        self._buffer += data
        if len(self._buffer) >= PIECE_BYTES:
            await self._store()

    async def finished(self) -> Upload:
        """Return the upload.

        Raises:
            Refusal: it is empty: 422.
        """
        if not self._n_bytes:
            raise Refusal(422, "The file is empty.")
        await self._store()
        return Upload(self._name, tuple(self._pieces))

    async def _store(self) -> None:
        import ray

        if self._buffer:
            piece = np.frombuffer(self._buffer, np.uint8)
            self._buffer = bytearray()
            self._pieces.append(await asyncio.to_thread(ray.put, piece))  # it may wait for room


def require_media(name: str) -> None:
    """Check that a file's name is that of a video or a picture.

    Raises:
        Refusal: it is not: 415.
    """
    if not (is_video(name) or is_picture(name)):
        raise Refusal(
            415,
            "Its name has no suffix of a video or picture that is scored, such as .mp4, .mov, .jpg or .png.",
        )


def too_large(max_bytes: int) -> Refusal:
    return Refusal(
        413, f"The file is larger than {max_bytes / 2**20:g} MiB, the most that is taken."
    )
