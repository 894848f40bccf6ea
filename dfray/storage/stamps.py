"""Stamps of files: what a listing tells of their content; and digests of samples of their bytes.

A stamp is `<size>-<version>`: the version is the time of the last change on a disk, in ns, and the ETag in a
bucket. Another time does not mean another content: files that were copied anew, or touched, have the same
digest.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from dfray.storage.filesystems import absolute, is_remote

_SAMPLES = 16
_SAMPLE_BYTES = 2**16
"""16 samples of 64 KiB bound the cost of a file; up to 1 MiB it is read whole."""


def stamp_of(n_bytes: int, version: object) -> str:
    """Return the stamp of a file."""
    return f"{n_bytes}-{version}"


def have_same_size(stamp: str, other: str) -> bool:
    """Return True if two stamps differ in their versions at most."""
    return stamp.partition("-")[0] == other.partition("-")[0]


@dataclass
class FolderStamp:
    """Stamp of the files of a folder, collected in any order; its size counts names and sizes."""

    _sizes: int = 0
    _versions: int = 0

    def add(self, name: str, stamp: str | None) -> None:
        """Count a file, which may have no stamp."""
        size, _, version = (stamp or "").partition("-")
        self._sizes = (self._sizes + _number(f"{name}\0{size}")) % 2**64
        self._versions = (self._versions + _number(f"{name}\0{version}")) % 2**64

    def __str__(self) -> str:
        return stamp_of(self._sizes, self._versions)


def sample_digest(uris: Sequence[str]) -> str | None:
    """Return a digest of the sizes and of samples of local files; None if one is remote or cannot be read.

    Of one file 16 evenly spaced samples are read, of many files the beginnings of 16 evenly spaced ones.
    """
    if any(map(is_remote, uris)):
        return None
    digest = hashlib.blake2b(digest_size=16)
    sampled = [uris[k] for k in _evenly_spaced(len(uris))]
    with contextlib.suppress(OSError):
        for uri in sampled:
            _add_samples(digest, absolute(uri), _SAMPLES if len(uris) == 1 else 1)
        return digest.hexdigest()
    return None


def _add_samples(digest: hashlib.blake2b, path: str, count: int) -> None:
    with open(path, "rb", buffering=0, opener=_without_waiting) as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        n_bytes = state.st_size
        digest.update(f"{n_bytes}\0".encode())
        last = max(0, n_bytes - _SAMPLE_BYTES)
        for number in range(count):
            offset = number * _SAMPLE_BYTES
            if n_bytes > count * _SAMPLE_BYTES:
                offset = last * number // max(1, count - 1)
            file.seek(offset)
            digest.update(file.read(_SAMPLE_BYTES))


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a named pipe too, which else waits for one who writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)


def _evenly_spaced(count: int) -> list[int]:
    n_samples = min(_SAMPLES, count)
    return [count * number // n_samples for number in range(n_samples)]


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
