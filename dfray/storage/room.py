"""Rights and free space of a folder that may not be there yet, looked up without leaving anything."""

from __future__ import annotations

import os
import shutil
import uuid

from dfray.errors import StorageError
from dfray.storage.exclusive_file import exclusive_file
from dfray.storage.filesystems import S3, absolute, attempt, filesystem, is_remote, join
from dfray.storage.listing import exists

_NO_TAG = '"00000000000000000000000000000000"'


def require_writable(folder: str) -> None:
    """Check that files can be written below `folder`; of a store that is neither disk nor S3, its answer.

    Raises:
        StorageError: it is read-only for this user, its path leads through a file, or its store is away.
    """
    if folder.startswith(S3):
        _require_right_to_put(folder)
        return
    if is_remote(folder):
        exists(folder)
        return
    place = _nearest(absolute(folder))
    if not os.path.isdir(place):
        raise StorageError(
            f"{folder} cannot be made: {place} is a file.",
            "Choose another folder, or move that file.",
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise StorageError(
            f"{folder} cannot be written: {place} is read-only for you.",
            "Check its rights, or choose another folder.",
        )


def _require_right_to_put(folder: str) -> None:
    """Check the right to write by a write that the store refuses by its condition, or else is removed.

    An ACL does not tell: policies of users, buckets and organisations add to it.
    """
    uri = join(folder, f"writable-{uuid.uuid4().hex}")
    try:
        tag = exclusive_file(uri).replace(b"", _NO_TAG)
    except StorageError as error:
        raise error.at(f"{folder} cannot be written") from error
    if tag is not None:  # a store that ignores conditions
        fs, path = filesystem(uri)
        attempt(lambda: fs.rm_file(path), uri, "remove")


def free_bytes(folder: str) -> int | None:
    """Return the free bytes of the disk that `folder` is on; None: an object store's are unknown."""
    return None if is_remote(folder) else shutil.disk_usage(_nearest(absolute(folder))).free


def _nearest(path: str) -> str:
    """Return the path itself, or the nearest parent of it that is there."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path
