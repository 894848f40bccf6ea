"""URIs and their filesystems: local paths and s3:// alike, with faults as StorageError.

Faults that pass (throttling, 503, a broken connection) are retried with back-off where the requests are made,
in the S3 client: so Parquet readers and Ray Train, which use its filesystem directly, have the retries too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from dfray.errors import StorageError
from dfray.storage.faults import explain

if TYPE_CHECKING:
    import pyarrow.fs
    from fsspec import AbstractFileSystem

T = TypeVar("T")

ATTEMPTS = 6
"""Tries of a request: for about a quarter of a minute. s3fs makes up to five such series of a request that is
throttled, or whose connection breaks."""


def is_remote(uri: str) -> bool:
    """Return True if `uri` is neither a local path nor file://."""
    return "://" in uri and not uri.startswith("file://")


def join(uri: str, *names: str) -> str:
    """Return `uri` extended by `names`, for local paths and URIs alike."""
    return "/".join([uri.rstrip("/"), *(name.strip("/") for name in names)])


def absolute(uri: str) -> str:
    """Return `uri` so that every process of a cluster can resolve it: local paths made absolute."""
    return uri if is_remote(uri) else os.path.abspath(uri.removeprefix("file://"))


def filesystem(uri: str) -> tuple[AbstractFileSystem, str]:
    """Return the fsspec filesystem of `uri`, and the path inside it."""
    import fsspec

    options: dict[str, Any] = {}
    if uri.startswith("s3://"):
        from dfray.storage.s3_session import BoundedSession

        tries = int(os.environ.get("AWS_MAX_ATTEMPTS", ATTEMPTS))
        retries = {"mode": "standard", "total_max_attempts": tries}
        settings = {"retries": retries, "http_session_cls": BoundedSession}
        # Listings are not cached: other processes write while we look.
        options = {"use_listings_cache": False, "config_kwargs": settings}
    fs, path = fsspec.core.url_to_fs(uri, **options)
    return fs, str(path)


def arrow_filesystem(uri: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """Return the pyarrow filesystem of `uri`, and the path inside it, for Parquet and Ray Data."""
    from pyarrow import fs as arrow_fs

    if not is_remote(uri):
        return arrow_fs.LocalFileSystem(), absolute(uri)
    fs, path = filesystem(uri)
    return arrow_fs.PyFileSystem(arrow_fs.FSSpecHandler(fs)), path


def attempt(action: Callable[[], T], uri: str, verb: str) -> T:
    """Return the result of `action`.

    Args:
        verb: names the action in the error message: read, write, list, look at.

    Raises:
        StorageError: `action` failed; the message names `uri` and the cause.
    """
    try:
        return action()
    except StorageError:
        raise
    except Exception as error:
        raise explain(error, uri, verb) from error
