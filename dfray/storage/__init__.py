"""Local paths and s3:// alike: the only file that knows fsspec and s3fs.

Writes are atomic: a reader sees the whole file or none. Faults that pass (throttling, 503, a broken
connection) are tried again with back-off where the requests are made, in the S3 client: so Parquet
readers and Ray Train, which use its filesystem past the functions here, have it too. What does not pass is
a `StorageError` that names the place and a hint at the fix.

An S3 endpoint of one's own comes from AWS_ENDPOINT_URL; AWS_MAX_ATTEMPTS is how often a request is tried.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dfray.errors import StorageError, UserError
from dfray.storage.faults import explain

if TYPE_CHECKING:
    import pyarrow.fs
    from fsspec import AbstractFileSystem

T = TypeVar("T")

ATTEMPTS = 6
"""How often a request is tried: for about a quarter of a minute. s3fs makes up to five such series of a
request that is throttled, or whose connection breaks."""


def is_remote(uri: str) -> bool:
    return "://" in uri and not uri.startswith("file://")


def join(uri: str, *parts: str) -> str:
    """`uri` extended by `parts`, for local paths and URIs alike."""
    return "/".join([uri.rstrip("/"), *(part.strip("/") for part in parts)])


def absolute(uri: str) -> str:
    """`uri` as every process of a cluster can resolve it: local paths made absolute."""
    return uri if is_remote(uri) else os.path.abspath(uri.removeprefix("file://"))


def filesystem(uri: str) -> tuple[AbstractFileSystem, str]:
    """The fsspec filesystem of `uri`, and the path inside it."""
    import fsspec

    options: dict[str, Any] = {}
    if uri.startswith("s3://"):
        from dfray.storage.s3_session import BoundedSession

        tries = int(os.environ.get("AWS_MAX_ATTEMPTS", ATTEMPTS))
        retries = {"mode": "standard", "total_max_attempts": tries}
        settings = {"retries": retries, "http_session_cls": BoundedSession}
        # Listings are not cached: other processes write while we look.
        options = {"use_listings_cache": False, "config_kwargs": settings}
    return fsspec.core.url_to_fs(uri, **options)


def arrow_filesystem(uri: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """The same as a pyarrow filesystem, for Parquet and Ray Data."""
    from pyarrow import fs as arrow_fs

    if not is_remote(uri):
        return arrow_fs.LocalFileSystem(), absolute(uri)
    fs, path = filesystem(uri)
    return arrow_fs.PyFileSystem(arrow_fs.FSSpecHandler(fs)), path


def exists(uri: str) -> bool:
    fs, path = filesystem(uri)
    return attempt(lambda: fs.exists(path), uri, "look at")


def list_files(uri: str, suffix: str = "") -> list[str]:
    """Sorted URIs of the files directly under the folder `uri`; empty if there is no folder."""
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
    """URIs of all files under the folder `uri`, sorted folder by folder.

    On s3 in pages of 1,000 keys, however many folders they lie in; on a disk by one scan a folder.

    Raises:
        UserError: there is no such folder.
    """
    found = _walk_s3(uri) if uri.startswith("s3://") else _walk_others(uri)
    first = next(found, None)
    if first is None and not _is_folder(uri):
        raise UserError(f"{uri} is not a folder.", "Name the folder that holds the videos.")
    if first is not None:
        yield first
        yield from found


def _is_folder(uri: str) -> bool:
    fs, path = filesystem(uri)
    return attempt(lambda: fs.isdir(path), uri, "look at")


def _walk_s3(uri: str) -> Iterator[str]:
    fs, path = filesystem(uri)
    bucket, _, folder = path.rstrip("/").partition("/")
    prefix = f"{folder}/" if folder else ""
    more: dict[str, str] = {}
    while True:
        asked = {"Bucket": bucket, "Prefix": prefix} | more
        page = attempt(partial(fs.call_s3, "list_objects_v2", **asked), uri, "list")
        for entry in page.get("Contents", []):
            if not entry["Key"].endswith("/"):  # a folder made by hand
                yield join(uri, entry["Key"][len(prefix) :])
        if not page.get("IsTruncated"):
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}


def _walk_others(uri: str) -> Iterator[str]:
    if is_remote(uri):
        fs, path = filesystem(uri)
        for found in attempt(lambda: fs.find(path), uri, "list"):
            yield join(uri, found[len(path.rstrip("/")) + 1 :])
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


def _is_below(entry: os.DirEntry) -> bool:
    """Whether the entry is a folder to go into; a link to a folder above it would have no end."""
    if not entry.is_dir() or not entry.is_symlink():
        return entry.is_dir()
    folder = os.path.realpath(os.path.dirname(entry.path))
    return not f"{folder}/".startswith(f"{os.path.realpath(entry.path)}/")


def read_bytes(uri: str) -> bytes:
    fs, path = filesystem(uri)
    return attempt(lambda: fs.cat_file(path), uri, "read")


def write_bytes(data: bytes, uri: str) -> None:
    """Write `data` to `uri` atomically.

    Raises:
        StorageError: `uri` or the local temporary folder is full or may not be written.
    """
    with tempfile.TemporaryDirectory(prefix="dfray-") as folder:
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
        import shutil

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
    """`put` every file directly in the local folder under `uri`, the one named `last` at the end.

    So a folder that has that file is whole.
    """
    for path in sorted(Path(local).iterdir(), key=lambda path: (path.name == last, path.name)):
        put(path, join(uri, path.name))


def put_tree(local: str | Path, uri: str) -> None:
    """`put` every file under the local folder, however deep, under `uri`."""
    for path in sorted(Path(local).rglob("*")):
        if path.is_file():
            put(path, join(uri, *path.relative_to(local).parts))


@contextlib.contextmanager
def local_folder(uri: str) -> Iterator[str]:
    """A local folder with the files directly under `uri`: itself, or a temporary download."""
    if not is_remote(uri):
        yield absolute(uri)
        return
    with tempfile.TemporaryDirectory(prefix="dfray-") as folder:
        for file in list_files(uri):
            _download(file, os.path.join(folder, file.rsplit("/", 1)[-1]))
        yield folder


@contextlib.contextmanager
def local_copy(uri: str) -> Iterator[str]:
    """A local path with the content of `uri`: the file itself, or a temporary download."""
    if not is_remote(uri):
        yield absolute(uri)
        return
    with tempfile.TemporaryDirectory(prefix="dfray-") as folder:
        local = os.path.join(folder, uri.rsplit("/", 1)[-1])
        _download(uri, local)
        yield local


@contextlib.contextmanager
def local_copies(uris: list[str]) -> Iterator[list[str]]:
    """Local paths with the contents of `uris`, in order; remote ones are fetched together."""
    if not any(is_remote(uri) for uri in uris):
        yield [absolute(uri) for uri in uris]
        return
    with tempfile.TemporaryDirectory(prefix="dfray-") as folder:
        names = [f"{place:06d}-{uri.rsplit('/', 1)[-1]}" for place, uri in enumerate(uris)]
        copies = [os.path.join(folder, name) for name in names]
        fs, _ = filesystem(uris[0])
        paths = [filesystem(uri)[1] for uri in uris]
        attempt(lambda: fs.get(paths, copies), uris[0], "read")
        yield copies


def _download(uri: str, local: str) -> None:
    fs, path = filesystem(uri)
    attempt(lambda: fs.get_file(path, local), uri, "read")


def attempt(action: Callable[[], T], uri: str, verb: str) -> T:
    """Run `action`; what fails is a StorageError that says what could not be done with `uri`."""
    try:
        return action()
    except StorageError:
        raise
    except Exception as error:
        raise explain(error, uri, verb) from error
