"""Copies of parts of a remote file: sparse local files into which byte ranges are fetched when needed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from dfray.errors import StorageError
from dfray.storage.copies import local_name
from dfray.storage.filesystems import S3, attempt, filesystem
from dfray.storage.scratch import temporary_folder

Range = tuple[int, int]
"""(first byte, number of bytes)."""

_MAX_GAP = 32 * 2**10
"""Bytes that nobody needs and that are read all the same, as they save a request."""
_REQUEST_BYTES = 8 * 2**20
_N_AT_ONCE = 8
"""Requests that are made at the same time."""


class PartialCopy:
    """A local file of the size of a remote one, with zeros but for the ranges fetched so far.

    Attributes:
        path: of the local file.
        n_bytes: size of the remote file.
    """

    def __init__(self, uri: str, path: str) -> None:
        self._uri, self.path = uri, path
        self._fs, self._remote = filesystem(uri)
        info = attempt(lambda: self._fs.info(self._remote), uri, "look at")
        if info["type"] != "file":
            raise StorageError(f"{uri} is a folder, not a file.", "Name the files in it.")
        self.n_bytes = int(info["size"])
        self._version = {"if_match": info["ETag"]} if info.get("ETag") else {}
        self._copied: set[Range] = set()
        attempt(self._make_empty, path, "write")

    def fetch(self, ranges: Sequence[Range]) -> None:
        """Copy these ranges, and no other byte, into the local file; a range that was copied is not again.

        Raises:
            StorageError: a range lies outside the file, the file cannot be read, it was replaced since it
                was looked at, or the local disk is full.
        """
        for first, size in ranges:
            if first < 0 or size < 0 or first + size > self.n_bytes:
                raise StorageError(
                    f"{size} bytes from {first} were asked for; {self._uri} has {self.n_bytes}."
                )
        missing = set(ranges) - self._copied
        requests = _requests(sorted(missing))
        for first in range(0, len(requests), _N_AT_ONCE):
            self._copy(requests[first : first + _N_AT_ONCE])
        self._copied |= missing

    def _copy(self, requests: list[list[Range]]) -> None:
        """Copy the ranges of each request, all requests at the same time."""
        starts = [request[0][0] for request in requests]
        ends = [max(first + size for first, size in request) for request in requests]
        contents = attempt(
            lambda: self._fs.cat_ranges(
                [self._remote] * len(requests), starts, ends, on_error="raise", **self._version
            ),
            self._uri,
            "read",
        )
        for start, end, content in zip(starts, ends, contents, strict=True):
            if len(content) != end - start:
                raise StorageError(
                    f"{self._uri} gave {len(content)} of {end - start} bytes from {start}."
                )
        attempt(lambda: self._write(requests, contents), self.path, "write")

    def _make_empty(self) -> None:
        with open(self.path, "wb") as file:
            file.truncate(self.n_bytes)

    def _write(self, requests: list[list[Range]], contents: list[bytes]) -> None:
        """Write the ranges of each request, whose content begins at its first range."""
        with open(self.path, "r+b") as file:
            for request, content in zip(requests, contents, strict=True):
                start = request[0][0]
                for first, size in request:
                    file.seek(first)
                    file.write(content[first - start : first - start + size])


def serves_ranges(uri: str) -> bool:
    """Return True if `uri` is in an object store: others may know no ranges, and state no size."""
    return uri.startswith(S3)


@contextlib.contextmanager
def partial_copy(uri: str) -> Iterator[PartialCopy]:
    """Yield a partial copy of the remote file at `uri`, of `serves_ranges`; nothing of it is fetched yet.

    Raises:
        StorageError: `uri` cannot be looked at or is a folder, or the local disk is full.
    """
    with temporary_folder() as folder:
        yield PartialCopy(uri, os.path.join(folder, local_name(uri)))


def _requests(ranges: Sequence[Range]) -> list[list[Range]]:
    """Return sorted ranges in groups that one request reads: near each other, and not too long."""
    requests: list[list[Range]] = []
    start = end = 0
    for first, size in _pieces(ranges):
        if not requests or first - end > _MAX_GAP or first + size - start > _REQUEST_BYTES:
            requests.append([])
            start, end = first, first
        requests[-1].append((first, size))
        end = max(end, first + size)
    return requests


def _pieces(ranges: Sequence[Range]) -> Iterator[Range]:
    for first, size in ranges:
        for start in range(first, first + size, _REQUEST_BYTES):
            yield start, min(_REQUEST_BYTES, first + size - start)
