"""Temporary folders: all in one folder of the user, each below the mark of the process that made it.

What a killed process left there is removed by the next one that makes a temporary folder. Layout:

    <TMPDIR>/dfray-<uid>/<machine>-<pid>-<start>/<folder>
    /tmp/dfray-<uid>/<name>    a link to such a folder, as the path of a socket has 107 bytes at most

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
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator

from dfray.errors import StorageError
from dfray.storage.filesystems import attempt
from dfray.storage.process_identity import has_ended, start_time, this_machine

_MARK = re.compile(r"([0-9a-f]{6})-(\d+)-(\d+)")
_SHORT_PLACE = "/tmp"
"""Folder of the links."""
_TO_END_S = 5.0
"""Time that processes have to end; what they write later the next process removes."""
_LINK = re.compile(r"[0-9a-f]{4}")
"""Name of a link. A process of Ray that outlives its start's failure makes a folder of that name anew."""


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a fresh local folder, a context that removes it.

    Raises:
        StorageError: the disk is full, there is no place for temporary files, or others may write there.
    """
    place = tempfile.tempdir or "the folder of temporary files (TMPDIR)"
    return attempt(lambda: _new_folder(tempfile.gettempdir()), place, "write")


@contextlib.contextmanager
def short_folder(place: str | None = None) -> Iterator[str]:
    """Yield a fresh local folder under a path that leaves room for the names of sockets.

    Args:
        place: folder that it lies in; default: that of temporary files.

    Raises:
        StorageError: as `temporary_folder`.
    """
    place = os.path.abspath(place or tempfile.gettempdir())
    made = attempt(lambda: _new_folder(place, still_used=True), place, "write")
    try:
        with made as folder:
            link = attempt(lambda: _new_link(folder), _SHORT_PLACE, "write")
            try:
                yield link
            finally:
                _unlink(link)
    finally:
        _remove_for_good(made.name)


def _remove_for_good(folder: str) -> None:
    """Remove a folder in which processes that are about to end may still write."""
    end = time.monotonic() + _TO_END_S
    while os.path.exists(folder) and time.monotonic() < end:
        time.sleep(0.05)
        shutil.rmtree(folder, ignore_errors=True)


def _new_folder(place: str, *, still_used: bool = False) -> tempfile.TemporaryDirectory[str]:
    """Return a fresh folder.

    Args:
        still_used: processes may write there while it is removed, which is no error.
    """
    folder = _folder_of_process(_user_folder(place), os.getpid())
    os.makedirs(folder, mode=0o700, exist_ok=True)  # again, if a cleaner of TMPDIR took it
    return tempfile.TemporaryDirectory(dir=folder, prefix="", ignore_cleanup_errors=still_used)


def _new_link(folder: str) -> str:
    """Return the path of a new link to a folder."""
    links = _user_folder(_SHORT_PLACE)
    _sweep(links)
    while True:
        link = os.path.join(links, secrets.token_hex(2))
        with contextlib.suppress(FileExistsError):
            os.symlink(folder, link)
            return link


def _user_folder(place: str) -> str:
    """Return the user's folder below `place`, which nobody else may write to.

    Raises:
        StorageError: somebody else made it, or may write to it.
    """
    path = os.path.join(place, f"dfray-{os.getuid()}")
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
    """Remove the folders of dead processes, and the links to them."""
    for name in os.listdir(user_folder):
        path = os.path.join(user_folder, name)
        if os.path.islink(path):
            if _is_dead(_mark_in(path)):
                _unlink(path)
        elif _is_dead(name) or _LINK.fullmatch(name):
            shutil.rmtree(path, ignore_errors=True)


def _mark_in(link: str) -> str:
    """Return the mark in the path that a link leads to."""
    try:
        return os.path.basename(os.path.dirname(os.readlink(link)))
    except FileNotFoundError:  # another process has removed it
        return ""


def _is_dead(name: str) -> bool:
    """Return True if a name is the mark of a process of this machine that has ended."""
    mark = _MARK.fullmatch(name)
    if mark is None or mark[1] != _machine():
        return False
    return has_ended(int(mark[2]), float(mark[3]))


def _unlink(link: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(link)


def _remove_empty(folder: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def _machine() -> str:
    return hashlib.sha256(this_machine().encode()).hexdigest()[:6]
