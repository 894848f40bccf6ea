"""Listing of files in folders and in buckets. A URI that a listing gives can be read, and is that file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

from dfray.errors import UserError
from dfray.storage.filesystems import S3, absolute, attempt, filesystem, is_remote


def exists(uri: str) -> bool:
    """Return True if there is a file or a folder at `uri`."""
    fs, path = filesystem(uri)
    is_there: bool = attempt(lambda: fs.exists(path), uri, "look at")
    return is_there


def list_files(uri: str, suffix: str = "") -> list[str]:
    """Return the sorted URIs of the files directly under the folder `uri`; empty if there is no folder."""
    folder = uri.rstrip("/")
    names = attempt(lambda: list(_names_in(uri)), uri, "list")
    return sorted(f"{folder}/{name}" for name in names if name.endswith(suffix))


def list_folders(uri: str) -> list[str]:
    """Return the sorted names of the folders directly under the folder `uri`; empty if there is none."""
    return sorted(attempt(lambda: list(_folders_in(uri)), uri, "list"))


def total_bytes(uri: str) -> int:
    """Return the bytes of all files under the folder `uri`; 0 if there is none."""
    fs, path = filesystem(uri)
    return int(attempt(lambda: fs.du(path) if fs.exists(path) else 0, uri, "list"))


def walk_files(uri: str) -> Iterator[str]:
    """Yield the URIs of all files under the folder `uri`, sorted folder by folder.

    On s3 in pages of 1,000 keys, however many folders they lie in; on a disk by one scan a folder.

    Raises:
        UserError: there is no such folder.
    """
    files = _walk(uri)
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


def _names_in(uri: str) -> Iterator[str]:
    """Yield the names of the files directly under the folder `uri`."""
    if uri.startswith(S3):
        yield from _keys(uri, Delimiter="/")
        return
    fs, path = filesystem(uri)
    if is_remote(uri):
        files = (entry for entry in fs.ls(path, detail=True) if entry["type"] == "file")
        yield from (entry["name"].rpartition("/")[2] for entry in files)
    elif os.path.isdir(path):
        yield from (name for name, kind in _scan(path) if kind == "file")


def _folders_in(uri: str) -> Iterator[str]:
    fs, path = filesystem(uri)
    if is_remote(uri):
        fs.invalidate_cache(path)
        entries = fs.ls(path, detail=True) if fs.isdir(path) else []
        folders = (entry for entry in entries if entry["type"] == "directory")
        yield from (entry["name"].rstrip("/").rpartition("/")[2] for entry in folders)
    elif os.path.isdir(path):
        yield from (name for name, kind in _scan(path) if kind == "folder")


def _walk(uri: str) -> Iterator[str]:
    folder = uri.rstrip("/")
    if uri.startswith(S3):
        yield from (f"{folder}/{key}" for key in _keys(uri))
    elif is_remote(uri):
        fs, path = filesystem(uri)
        start = len(path.rstrip("/")) + 1
        yield from (
            f"{folder}/{file[start:]}" for file in attempt(partial(fs.find, path), uri, "list")
        )
    elif os.path.isdir(absolute(uri)):
        yield from _walk_disk(absolute(uri))


def _keys(uri: str, **options: str) -> Iterator[str]:
    """Yield the keys below the s3:// folder `uri`, without its own key.

    Args:
        options: of the request; `Delimiter="/"` leaves out the keys of deeper folders.
    """
    fs, path = filesystem(uri)
    bucket, key, _ = fs.split_path(path.rstrip("/"))
    prefix = f"{key}/" if key else ""
    request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix} | options
    while True:
        page = attempt(partial(fs.call_s3, "list_objects_v2", **request), uri, "list")
        for entry in page.get("Contents", []):
            if not entry["Key"].endswith("/"):  # a folder made by hand
                yield entry["Key"][len(prefix) :]
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]


def _walk_disk(folder: str) -> Iterator[str]:
    start = folder.rstrip("/")
    entries = attempt(lambda: _scan(folder), folder, "list")
    yield from (f"{start}/{name}" for name, kind in entries if kind == "file")
    for name, kind in entries:
        if kind == "folder":
            yield from _walk_disk(f"{start}/{name}")


def _scan(folder: str) -> list[tuple[str, str]]:
    """Return (name, kind) of the entries of `folder`, sorted by name; kind is file, folder or other."""
    with os.scandir(folder) as entries:
        return sorted((entry.name, _kind(entry)) for entry in entries)


def _kind(entry: os.DirEntry[str]) -> str:
    """Return the kind of an entry: `other` is what has no end or no content.

    A link to a folder above it would be followed without end; the opening of a pipe waits for its writer.
    A link whose target is gone is a file: to read it gives the reason.
    """
    if entry.is_dir():
        return "folder" if not entry.is_symlink() or _leads_elsewhere(entry) else "other"
    return "file" if entry.is_file() or entry.is_symlink() else "other"


def _leads_elsewhere(link: os.DirEntry[str]) -> bool:
    """Return True if the folder that `link` leads to does not hold it."""
    folder = os.path.realpath(os.path.dirname(link.path))
    return not f"{folder}/".startswith(f"{os.path.realpath(link.path)}/")
