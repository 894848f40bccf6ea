"""Copies of files to and from storage. Writes are atomic: a reader sees the whole file or none."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from dfray.storage.filesystems import absolute, attempt, filesystem, is_remote, join
from dfray.storage.listing import list_files, walk_files
from dfray.storage.scratch import temporary_folder

_LONGEST_NAME = 255
"""Bytes of a name that usual file systems hold; a key in an object store has up to 1,024."""
_LONGEST_SUFFIX = 16


def read_bytes(uri: str, at_most: int | None = None) -> bytes:
    """Return the content of the file at `uri`, or its first `at_most` bytes."""
    fs, path = filesystem(uri)

    def read() -> bytes:
        # An object store refuses a range of an empty object.
        is_whole = at_most is None or (is_remote(uri) and fs.size(path) <= at_most)
        content: bytes = fs.cat_file(path) if is_whole else fs.cat_file(path, start=0, end=at_most)
        return content

    return attempt(read, uri, "read")


def write_bytes(data: bytes, uri: str) -> None:
    """Write `data` to `uri` atomically.

    Raises:
        StorageError: `uri` or the local temporary folder is full or may not be written.
    """
    with temporary_folder() as folder:
        local = Path(folder, "bytes")
        attempt(lambda: local.write_bytes(data), folder, "write")
        put(local, uri)


def put(local: str | Path, uri: str) -> None:
    """Copy the local file to `uri` atomically; an object store's multipart upload, or a rename.

    Raises:
        StorageError: the place does not exist, is full or may not be written.
    """
    fs, path = filesystem(uri)
    if is_remote(uri):
        attempt(lambda: fs.put_file(str(local), path), uri, "write")
        return

    def copy_and_rename() -> None:
        folder = os.path.dirname(path)
        os.makedirs(folder, exist_ok=True)
        partial = os.path.join(folder, f".{os.path.basename(path)}.{uuid.uuid4().hex[:8]}.part")
        try:
            shutil.copyfile(local, partial)
            os.replace(partial, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)

    attempt(copy_and_rename, uri, "write")


def put_folder(local: str | Path, uri: str, last: str) -> None:
    """`put` every file directly in the local folder under `uri`, the file `last` at the end.

    So a folder that has that file is complete.
    """
    for path in sorted(Path(local).iterdir(), key=lambda path: (path.name == last, path.name)):
        put(path, join(uri, path.name))


def put_tree(local: str | Path, uri: str) -> None:
    """`put` every file under the local folder, however deep, under `uri`."""
    for path in sorted(Path(local).rglob("*")):
        if path.is_file():
            put(path, join(uri, *path.relative_to(local).parts))


def remove_tree(uri: str) -> None:
    """Remove the folder `uri` with all files under it, if it exists.

    Raises:
        StorageError: it may not be removed.
    """
    fs, path = filesystem(uri)
    if is_remote(uri):
        keys = [filesystem(file)[1] for file in walk_files(uri)] if fs.isdir(path) else []
        for key in keys:
            attempt(partial(fs.rm_file, key), uri, "remove")
    elif os.path.isdir(path):
        attempt(lambda: shutil.rmtree(path), uri, "remove")


def remove(uri: str) -> None:
    """Remove the file `uri`, if it exists.

    Raises:
        StorageError: it may not be removed.
    """
    fs, path = filesystem(uri)

    def remove_file() -> None:
        with contextlib.suppress(FileNotFoundError):
            fs.rm_file(path)

    attempt(remove_file, uri, "remove")


def sha256(uri: str) -> str:
    """Return the SHA-256 of the file at `uri`, in hex digits.

    Raises:
        StorageError: it cannot be read.
    """
    with local_copy(uri) as path:

        def digest() -> str:
            with open(path, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

        return attempt(digest, uri, "read")


@contextlib.contextmanager
def local_folder(uri: str) -> Iterator[str]:
    """Yield a local folder with the files directly under `uri`: itself, or a temporary download."""
    if not is_remote(uri):
        yield absolute(uri)
        return
    with temporary_folder() as folder:
        for file in list_files(uri):
            _download(file, os.path.join(folder, local_name(file)))
        yield folder


@contextlib.contextmanager
def local_copy(uri: str) -> Iterator[str]:
    """Yield a local path with the content of `uri`: the file itself, or a temporary download."""
    if not is_remote(uri):
        yield absolute(uri)
        return
    with temporary_folder() as folder:
        local = os.path.join(folder, local_name(uri))
        _download(uri, local)
        yield local


@contextlib.contextmanager
def local_copies(uris: list[str]) -> Iterator[list[str]]:
    """Yield local paths with the contents of `uris`, in order; remote ones are fetched together."""
    if not any(is_remote(uri) for uri in uris):
        yield [absolute(uri) for uri in uris]
        return
    with temporary_folder() as folder:
        folders = [os.path.join(folder, f"{place:06d}") for place in range(len(uris))]
        copies = [os.path.join(*pair) for pair in zip(folders, map(local_name, uris), strict=True)]
        fs, _ = filesystem(uris[0])
        paths = [filesystem(uri)[1] for uri in uris]
        attempt(lambda: fs.get(paths, copies), uris[0], "read")
        yield copies


def local_name(uri: str) -> str:
    """Return the name of `uri`, or one with its suffix if a disk cannot hold a file of that name."""
    name = uri.rpartition("/")[2]
    if name not in (".", "..") and "\0" not in name and len(os.fsencode(name)) <= _LONGEST_NAME:
        return name
    suffix = os.path.splitext(name)[1]
    return "copy" + (suffix if len(suffix) <= _LONGEST_SUFFIX else "")


def _download(uri: str, local: str) -> None:
    fs, path = filesystem(uri)
    attempt(lambda: fs.get_file(path, local), uri, "read")
