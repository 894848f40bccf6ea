"""Rights and free space of a folder that may not be there yet, looked up without writing."""

from __future__ import annotations

import os
import shutil

from dfray.errors import StorageError
from dfray.storage.filesystems import absolute, is_remote
from dfray.storage.listing import exists


def require_writable(folder: str) -> None:
    """Check that files can be written below `folder`; of an object store only that it answers.

    Raises:
        StorageError: it is read-only for this user, or its path leads through a file.
    """
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


def free_bytes(folder: str) -> int | None:
    """Return the free bytes of the disk that `folder` is on; None: an object store's are unknown."""
    return None if is_remote(folder) else shutil.disk_usage(_nearest(absolute(folder))).free


def _nearest(path: str) -> str:
    """Return the path itself, or the nearest parent of it that is there."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path
