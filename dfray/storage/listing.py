"""Listing of files in folders and in buckets. A URI that a listing gives can be read, and is that file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from dfray.errors import UserError
from dfray.storage.filesystems import S3, absolute, attempt, filesystem, is_remote
from dfray.storage.stamps import stamp_of


class ListedFile(NamedTuple):
    """File of a listing.

    Attributes:
        stamp: as of `dfray.storage.stamps`; None: it is a link that leads nowhere, a named pipe or the like.
        leaves: it is a link that leads out of the folder that is walked; what is there was not looked at.
    """

    uri: str
    stamp: str | None
    leaves: bool = False


class _Entry(NamedTuple):
    """Entry of a folder on a disk: its kind is file, folder, circle, or link (out of the folder walked)."""

    name: str
    kind: str
    stamp: str | None


def exists(uri: str) -> bool:
    """Return True if there is a file or a folder at `uri`."""
    fs, path = filesystem(uri)
    is_there: bool = attempt(lambda: fs.exists(path), uri, "look at")
    return is_there


def list_files(uri: str, suffix: str = "") -> list[str]:
    """Return the sorted URIs of the files directly under the folder `uri`; empty if there is no folder."""
    return [file.uri for file in list_stamped(uri) if file.uri.endswith(suffix)]


def list_stamped(uri: str, within: str | None = None) -> list[ListedFile]:
    """Return the files directly under the folder `uri`, sorted; empty if there is no folder.

    Args:
        within: a folder on this machine; links out of it are not followed, and `leaves` them.
    """
    return sorted(attempt(lambda: list(_files_in(uri, within)), uri, "list"))


def list_folders(uri: str) -> list[str]:
    """Return the sorted names of the folders directly under the folder `uri`; empty if there is none."""
    return sorted(attempt(lambda: list(_folders_in(uri)), uri, "list"))


def total_bytes(uri: str) -> int:
    """Return the bytes of all files under the folder `uri`; 0 if there is none."""
    fs, path = filesystem(uri)
    return int(attempt(lambda: fs.du(path) if fs.exists(path) else 0, uri, "list"))


def walk_files(uri: str) -> Iterator[str]:
    """Yield the URIs of all files under the folder `uri`, as `walk_stamped`."""
    return (file.uri for file in walk_stamped(uri))


def walk_stamped(uri: str, *, follow_links: bool = True) -> Iterator[ListedFile]:
    """Yield all files under the folder `uri`, sorted folder by folder.

    On s3 in pages of 1,000 keys, however many folders they lie in; on a disk by one scan a folder.

    Args:
        follow_links: on a disk also out of the folder; else such links are yielded as what `leaves`.

    Raises:
        UserError: there is no such folder.
    """
    files = _walk(uri, follow_links)
    first = next(files, None)
    if first is None and not _is_folder(uri):
        raise UserError(f"{uri} is not a folder.", "Name the folder that holds the videos.")
    if first is not None:
        yield first
        yield from files


def _is_folder(uri: str) -> bool:
    fs, path = filesystem(uri)
    is_folder: bool = attempt(lambda: fs.isdir(path), uri, "look at")
    return is_folder


def _files_in(uri: str, within: str | None) -> Iterator[ListedFile]:
    """Yield the files directly under the folder `uri`, as `list_stamped`."""
    folder = uri.rstrip("/")
    if uri.startswith(S3):
        yield from _objects(uri, Delimiter="/")
        return
    fs, path = filesystem(uri)
    if is_remote(uri):
        for entry in fs.ls(path, detail=True):
            if entry["type"] == "file":
                yield ListedFile(f"{folder}/{entry['name'].rpartition('/')[2]}", _stamp_of(entry))
    elif os.path.isdir(path):
        yield from _files_among(folder, _scan(path, within and os.path.realpath(within)))


def _files_among(folder: str, entries: list[_Entry]) -> Iterator[ListedFile]:
    return (
        ListedFile(f"{folder}/{entry.name}", entry.stamp, entry.kind == "link")
        for entry in entries
        if entry.kind in ("file", "link")
    )


def _stamp_of(entry: dict[str, Any]) -> str:
    """Return the stamp of a file by the listing of a store that only fsspec knows."""
    return stamp_of(int(entry.get("size") or 0), entry.get("ETag") or entry.get("mtime") or "")


def _folders_in(uri: str) -> Iterator[str]:
    fs, path = filesystem(uri)
    if is_remote(uri):
        fs.invalidate_cache(path)
        entries = fs.ls(path, detail=True) if fs.isdir(path) else []
        folders = (entry for entry in entries if entry["type"] == "directory")
        yield from (entry["name"].rstrip("/").rpartition("/")[2] for entry in folders)
    elif os.path.isdir(path):
        yield from (entry.name for entry in _scan(path) if entry.kind == "folder")


def _walk(uri: str, follow_links: bool) -> Iterator[ListedFile]:
    folder = uri.rstrip("/")
    if uri.startswith(S3):
        yield from _objects(uri)
    elif is_remote(uri):
        fs, path = filesystem(uri)
        start = len(path.rstrip("/")) + 1
        files = attempt(partial(fs.find, path, detail=True), uri, "list")
        for name, entry in files.items():
            yield ListedFile(f"{folder}/{name[start:]}", _stamp_of(entry))
    elif os.path.isdir(absolute(uri)):
        within = None if follow_links else os.path.realpath(absolute(uri))
        yield from _walk_disk(absolute(uri), within)


def _objects(uri: str, **options: str) -> Iterator[ListedFile]:
    """Yield the objects below the s3:// folder `uri`, without its own key.

    Args:
        options: of the request; `Delimiter="/"` leaves out the keys of deeper folders.
    """
    fs, path = filesystem(uri)
    bucket, key, _ = fs.split_path(path.rstrip("/"))
    prefix, folder = f"{key}/" if key else "", uri.rstrip("/")
    request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix} | options
    while True:
        page = attempt(partial(fs.call_s3, "list_objects_v2", **request), uri, "list")
        for entry in page.get("Contents", []):
            if not entry["Key"].endswith("/"):  # a folder made by hand
                stamp = stamp_of(entry["Size"], entry["ETag"].strip('"'))
                yield ListedFile(f"{folder}/{entry['Key'][len(prefix) :]}", stamp)
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]


def _walk_disk(folder: str, within: str | None) -> Iterator[ListedFile]:
    start = folder.rstrip("/")
    entries = attempt(lambda: _scan(folder, within), folder, "list")
    yield from _files_among(start, entries)
    for entry in entries:
        if entry.kind == "folder":
            yield from _walk_disk(f"{start}/{entry.name}", within)


def _scan(folder: str, within: str | None = None) -> list[_Entry]:
    """Return the entries of `folder`, sorted by name.

    Args:
        within: a folder without links; links out of it are entries of the kind `link`.
    """
    with os.scandir(folder) as entries:
        scanned = ((entry, _kind(entry, within)) for entry in entries)
        return sorted(_Entry(entry.name, kind, _stamp(entry, kind)) for entry, kind in scanned)


def _stamp(entry: os.DirEntry[str], kind: str) -> str | None:
    if kind != "file":
        return None
    try:
        status = entry.stat()
    except OSError:  # a link whose target is gone, or that leads to itself
        return None
    return stamp_of(status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def _kind(entry: os.DirEntry[str], within: str | None) -> str:
    """Return the kind of an entry.

    A link to a folder above it would be followed without end. What is neither file nor folder, and a link
    that leads nowhere, is a file: to read it gives the reason.
    """
    if entry.is_symlink() and within and not _is_below(os.path.realpath(entry.path), within):
        return "link"
    try:
        is_folder = entry.is_dir()
    except OSError:  # a link to itself
        is_folder = False
    if not is_folder:
        return "file"
    return "folder" if not entry.is_symlink() or _leads_elsewhere(entry) else "circle"


def _is_below(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")


def _leads_elsewhere(link: os.DirEntry[str]) -> bool:
    """Return True if the folder that `link` leads to does not hold it."""
    folder = os.path.realpath(os.path.dirname(link.path))
    return not _is_below(folder, os.path.realpath(link.path))
