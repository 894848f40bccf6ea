"""Listing of files in folders and in buckets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

from dfray.errors import UserError
from dfray.storage.filesystems import attempt, filesystem, is_remote, join


def exists(uri: str) -> bool:
    """Return True if there is a file or a folder at `uri`."""
    fs, path = filesystem(uri)
    is_there: bool = attempt(lambda: fs.exists(path), uri, "look at")
    return is_there


def list_files(uri: str, suffix: str = "") -> list[str]:
    """Return the sorted URIs of the files directly under the folder `uri`; empty if there is no folder."""
    fs, path = filesystem(uri)

    def listing() -> list[str]:
        try:
            entries = fs.ls(path, detail=True)
        except FileNotFoundError:
            return []
        return sorted(
            join(uri, entry["name"].rsplit("/", 1)[-1])
            for entry in entries
            if entry["type"] == "file" and entry["name"].endswith(suffix)
        )

    return attempt(listing, uri, "list")


def walk_files(uri: str) -> Iterator[str]:
    """Yield the URIs of all files under the folder `uri`, sorted folder by folder.

    On s3 in pages of 1,000 keys, however many folders they lie in; on a disk by one scan a folder.

    Raises:
        UserError: there is no such folder.
    """
    files = _walk_s3(uri) if uri.startswith("s3://") else _walk_others(uri)
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


def _walk_s3(uri: str) -> Iterator[str]:
    fs, path = filesystem(uri)
    bucket, _, folder = path.rstrip("/").partition("/")
    prefix = f"{folder}/" if folder else ""
    more: dict[str, str] = {}
    while True:
        request = {"Bucket": bucket, "Prefix": prefix} | more
        page = attempt(partial(fs.call_s3, "list_objects_v2", **request), uri, "list")
        for entry in page.get("Contents", []):
            if not entry["Key"].endswith("/"):  # a folder made by hand
                yield join(uri, entry["Key"][len(prefix) :])
        if not page.get("IsTruncated"):
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}


def _walk_others(uri: str) -> Iterator[str]:
    if is_remote(uri):
        fs, path = filesystem(uri)
        for file in attempt(lambda: fs.find(path), uri, "list"):
            yield join(uri, file[len(path.rstrip("/")) + 1 :])
        return
    if os.path.isdir(uri.removeprefix("file://")):
        yield from _walk_disk(uri.removeprefix("file://").rstrip("/") or "/")


def _walk_disk(folder: str) -> Iterator[str]:
    def scan() -> list[tuple[str, bool]]:
        with os.scandir(folder) as entries:
            return sorted((entry.name, _is_below(entry)) for entry in entries)

    entries = attempt(scan, folder, "list")
    yield from (join(folder, name) for name, is_folder in entries if not is_folder)
    for name, is_folder in entries:
        if is_folder:
            yield from _walk_disk(join(folder, name))


def _is_below(entry: os.DirEntry[str]) -> bool:
    """Return True if the entry is a folder to enter; a link to a folder above it would have no end."""
    if not entry.is_dir() or not entry.is_symlink():
        return entry.is_dir()
    folder = os.path.realpath(os.path.dirname(entry.path))
    return not f"{folder}/".startswith(f"{os.path.realpath(entry.path)}/")
