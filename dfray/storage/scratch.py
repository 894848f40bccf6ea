"""Temporary folders: all in one folder of the user, each below the mark of the process that made it.

What a killed process left there is removed by the next one that makes a temporary folder. Layout:

    <TMPDIR>/dfray-<uid>/<machine>-<pid>-<start>/<folder>

The mark tells living processes from dead ones, and from those of other machines, which may share TMPDIR:
nothing is known of these here, so theirs stay.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import re
import shutil
import stat
import tempfile

from dfray.errors import StorageError
from dfray.storage.filesystems import attempt
from dfray.storage.process_identity import has_ended, start_time, this_machine

_MARK = re.compile(r"([0-9a-f]{6})-(\d+)-(\d+)")


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a fresh local folder, a context that removes it.

    Raises:
        StorageError: the disk is full, there is no place for temporary files, or others may write there.
    """
    place = tempfile.tempdir or "the folder of temporary files (TMPDIR)"
    return attempt(_new_folder, place, "write")


def _new_folder() -> tempfile.TemporaryDirectory[str]:
    user_folder = _user_folder()
    folder = _folder_of_process(user_folder, os.getpid())
    os.makedirs(folder, mode=0o700, exist_ok=True)  # again, if a cleaner of TMPDIR took it
    return tempfile.TemporaryDirectory(dir=folder, prefix="")


def _user_folder() -> str:
    """Return the user's folder, which nobody else may write to.

    Raises:
        StorageError: somebody else made it, or may write to it.
    """
    path = os.path.join(tempfile.gettempdir(), f"dfray-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    state = os.lstat(path)
    writable = stat.S_IMODE(state.st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or writable:
        raise StorageError(
            f"{path} is no folder of yours that you alone may write to.",
            "Remove it, or set TMPDIR to another folder.",
        )
    return path


@functools.cache
def _folder_of_process(user_folder: str, pid: int) -> str:
    """Return the folder of this process; the first time, remove what dead ones left."""
    _sweep(user_folder)
    folder = os.path.join(user_folder, f"{_machine()}-{pid}-{round(start_time(pid) or 0)}")
    atexit.register(_remove_empty, folder)
    return folder


def _sweep(user_folder: str) -> None:
    for name in os.listdir(user_folder):
        mark = _MARK.fullmatch(name)
        if mark and mark[1] == _machine() and has_ended(int(mark[2]), float(mark[3])):
            shutil.rmtree(os.path.join(user_folder, name), ignore_errors=True)


def _remove_empty(folder: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def _machine() -> str:
    return hashlib.sha256(this_machine().encode()).hexdigest()[:6]
