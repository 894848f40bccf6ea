"""File whose content is replaced only by a writer that knows the present one; locks stand on it.

On a disk, and on NFS, it is a folder of numbered generations. The next generation is created with
O_CREAT | O_EXCL, so of two that would replace the same content one succeeds; the latest generation counts,
and numbers only grow. In a bucket it is an object that is written with If-None-Match and If-Match.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from dfray.storage.faults import answer_of, explain
from dfray.storage.filesystems import S3, absolute, attempt, filesystem, is_remote

_UNFINISHED_S = 5.0
"""A generation without content is being written, or else its writer has died."""
ANSWER_S = 25.0
"""Patience with an object store; an answer that comes later is found by the next read."""
_CONFLICT, _MISMATCH, _MISSING, _NOT_IMPLEMENTED = 409, 412, 404, 501


@dataclass(frozen=True)
class Content:
    """Content of an exclusive file.

    Attributes:
        tag: names this content for `ExclusiveFile.replace`.
        age_s: seconds since it was written, by the clock of the store.
    """

    data: bytes
    tag: str
    age_s: float


class ExclusiveFile(Protocol):
    """File that two writers never both replace."""

    def read(self) -> Content | None:
        """Return the content; None: there is none yet."""

    def replace(self, data: bytes, tag: str | None) -> str | None:
        """Write `data` if `tag` still names the content (None: there is none); return its tag, or None."""

    def excludes_others(self) -> bool:
        """Return True if the store refuses a second creation of the file, which exists."""


def exclusive_file(uri: str) -> ExclusiveFile:
    """Return the exclusive file at `uri`; making it reads and writes nothing."""
    if uri.startswith(S3):
        return _Object(uri)
    return _UnguardedFile(uri) if is_remote(uri) else _Generations(uri)


class _Generations:
    """Local folder of generations 1, 2, 3 ..., of which the latest counts."""

    def __init__(self, uri: str) -> None:
        self._folder = absolute(uri)

    def read(self) -> Content | None:
        return attempt(self._read, self._folder, "read")

    def replace(self, data: bytes, tag: str | None) -> str | None:
        return attempt(lambda: self._create(data, int(tag or 0) + 1), self._folder, "write")

    def excludes_others(self) -> bool:
        return True

    def _read(self) -> Content | None:
        while latest := max(self._generations(), default=0):
            with contextlib.suppress(FileNotFoundError):  # the next generation is there
                with open(self._path(latest), "rb") as file:
                    data, written = file.read(), os.fstat(file.fileno()).st_mtime
                age_s = self._now() - written
                if data or age_s > _UNFINISHED_S:
                    return Content(data, str(latest), age_s)
                time.sleep(0.01)
        return None

    def _create(self, data: bytes, generation: int) -> str | None:
        path = self._path(generation)
        os.makedirs(self._folder, exist_ok=True)
        try:
            file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return None
        try:
            with open(file, "wb") as stream:
                stream.write(data)
        except OSError:  # a full disk
            self._remove({generation})
            raise
        generations = self._generations()
        if max(generations, default=generation) > generation:  # numbered after one that is gone
            self._remove({generation})
            return None
        self._remove(generations - {generation})
        return str(generation)

    def _remove(self, generations: set[int]) -> None:
        for generation in generations:
            with contextlib.suppress(FileNotFoundError):  # removed by the writer of a later one
                os.unlink(self._path(generation))

    def _generations(self) -> set[int]:
        names = os.listdir(self._folder) if os.path.isdir(self._folder) else []
        return {int(name) for name in names if name.isdecimal()}

    def _now(self) -> float:
        """Return the time of the file system, which on NFS is the server's."""
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".now-") as probe:
            probe.write(b"\0")
            probe.flush()
            return os.fstat(probe.fileno()).st_mtime

    def _path(self, generation: int) -> str:
        return os.path.join(self._folder, str(generation))


class _Object:
    """Object of a bucket."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._fs, self._path = filesystem(uri)

    def read(self) -> Content | None:
        try:
            return Content(*self._ask(self._fs._read_tagged, self._path))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise explain(error, self._uri, "read") from error

    def replace(self, data: bytes, tag: str | None) -> str | None:
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        return self._put(data, **condition)

    def excludes_others(self) -> bool:
        content = self.read()
        return content is None or self._put(content.data, IfNoneMatch="*") is None

    def _put(self, data: bytes, **condition: str) -> str | None:
        bucket, key, _ = self._fs.split_path(self._path)
        request = {"Bucket": bucket, "Key": key, "Body": data}
        try:
            answer = self._ask(self._fs._call_s3, "put_object", **request, **condition)
            return str(answer["ETag"])
        except Exception as error:
            code, status = answer_of(error)
            if status in (_CONFLICT, _MISMATCH) or (status == _MISSING and code == "NoSuchKey"):
                return None
            if status == _NOT_IMPLEMENTED and condition:
                return self._put(data)
            raise explain(error, self._uri, "write") from error

    def _ask(self, request: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Return what a request of the filesystem answers within ANSWER_S."""
        from fsspec.asyn import sync

        return sync(self._fs.loop, request, *arguments, timeout=ANSWER_S, **options)


class _UnguardedFile:
    """File of a store that knows no conditions: it excludes nobody."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def read(self) -> Content | None:
        return None

    def replace(self, data: bytes, tag: str | None) -> str | None:
        del data, tag
        return self._uri

    def excludes_others(self) -> bool:
        return False
