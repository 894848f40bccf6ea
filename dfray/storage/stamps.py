"""Stamps of files: what a listing tells of their content; and digests of samples of their bytes.

A stamp is `<size>-<version>`: the version is the time of the last change on a disk, in ns, and the ETag in a
bucket. Another time does not mean another content: files that were copied anew, or touched, have the same
digest.

The ETag of an object that was uploaded in one part is the MD5 of its content; of one uploaded in several it
depends on their size, too, and ends in their number (Amazon S3, API reference of PutObject). So two ETags of
the first kind tell whether contents are equal, which is the case of most files below 8 MiB; a store that
encrypts with keys of its own (SSE-KMS, SSE-C) has ETags that are no MD5, and equal contents of other ETags.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dfray.storage.filesystems import absolute, attempt, filesystem, is_remote

SAMPLES = 16
_SAMPLE_BYTES = 2**16
"""16 samples of 64 KiB bound the cost of a file; up to 1 MiB it is read whole."""
_OF_ONE_PART = re.compile(r"\d+-[0-9a-f]{32}")


def stamp_of(n_bytes: int, version: object) -> str:
    """Return the stamp of a file."""
    return f"{n_bytes}-{version}"


def have_same_size(stamp: str, other: str) -> bool:
    """Return True if two stamps differ in their versions at most."""
    return stamp.partition("-")[0] == other.partition("-")[0]


def size_of(stamp: str) -> int:
    """Return the size in a stamp: of a file, bytes."""
    return int(stamp.partition("-")[0])


def tells_content(stamp: str) -> bool:
    """Return True if the stamp, of an object in a bucket, is another for another content: an MD5."""
    return _OF_ONE_PART.fullmatch(stamp) is not None


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


def sample_digest(uris: Sequence[str], n_samples: int = SAMPLES) -> str | None:
    """Return a digest of the sizes and of samples of local files; None if one is remote or cannot be read.

    Of one file 16 evenly spaced samples are read, of many files the beginnings of 16 evenly spaced ones.

    Args:
        n_samples: in place of 16; those of 1 and of 16 do not compare.
    """
    if any(map(is_remote, uris)):
        return None
    digest = hashlib.blake2b(digest_size=16)
    sampled = [uris[k] for k in _evenly_spaced(len(uris), n_samples)]
    with contextlib.suppress(OSError):
        for uri in sampled:
            _add_samples(digest, absolute(uri), n_samples if len(uris) == 1 else 1)
        return digest.hexdigest()
    return None


def remote_sample_digest(uri: str, n_bytes: int) -> str:
    """Return the digest of an object in a bucket that `sample_digest` gives for a local copy of it.

    It takes a request for each sample, 16 at most.

    Args:
        n_bytes: its size, as listed.

    Raises:
        StorageError: it cannot be read.
    """
    fs, path = filesystem(uri)
    ranges = [
        (start, min(start + _SAMPLE_BYTES, n_bytes))
        for start in _offsets(n_bytes, SAMPLES)
        if start < n_bytes
    ]
    starts, ends = [list(edge) for edge in zip(*ranges, strict=True)] if ranges else ([], [])
    samples = attempt(
        lambda: fs.cat_ranges([path] * len(starts), starts, ends, on_error="raise"), uri, "read"
    )
    digest = hashlib.blake2b(f"{n_bytes}\0".encode(), digest_size=16)
    for sample in samples:
        digest.update(sample)
    return digest.hexdigest()


def _add_samples(digest: hashlib.blake2b, path: str, count: int) -> None:
    with open(path, "rb", buffering=0, opener=_without_waiting) as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        n_bytes = state.st_size
        digest.update(f"{n_bytes}\0".encode())
        for offset in _offsets(n_bytes, count):
            file.seek(offset)
            digest.update(file.read(_SAMPLE_BYTES))


def _offsets(n_bytes: int, count: int) -> Iterator[int]:
    """Yield where the samples of a file begin."""
    last = max(0, n_bytes - _SAMPLE_BYTES)
    for number in range(count):
        is_longer = n_bytes > count * _SAMPLE_BYTES
        yield last * number // max(1, count - 1) if is_longer else number * _SAMPLE_BYTES


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a named pipe too, which else waits for one who writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)


def _evenly_spaced(count: int, n_samples: int) -> list[int]:
    n_samples = min(n_samples, count)
    return [count * number // n_samples for number in range(n_samples)]


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
