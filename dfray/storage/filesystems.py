"""URIs and their filesystems: local paths and s3:// alike, with faults as StorageError.

A path is taken literally: `::`, `?`, `#`, `*` and blanks in it have no meaning, and in an object store two
slashes are two. A local path may be written after file://, as it is and not percent-encoded.

Faults that pass (throttling, 503, a broken connection) are retried with back-off where the requests are made,
in the S3 client: so Parquet readers and Ray Train, which use its filesystem directly, have the retries too.

Lists of corpora name URIs, and whoever wrote a list would choose what this machine connects to. So only files
and s3:// are read, and the schemes that DFRAY_FETCH adds, such as `http,https`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from dfray.errors import StorageError
from dfray.storage.faults import explain

if TYPE_CHECKING:
    import pyarrow.fs
    from fsspec import AbstractFileSystem

T = TypeVar("T")

ATTEMPTS = 6
"""Tries of a request: for about a quarter of a minute. s3fs makes up to five such series of a request that is
throttled, or whose connection breaks."""
_FILE, S3 = "file://", "s3://"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def is_remote(uri: str) -> bool:
    """Return True if `uri` is neither a local path nor file://."""
    return _SCHEME.match(uri) is not None and not uri.startswith(_FILE)


def why_not_fetched(uri: str) -> str | None:
    """Return why a file at `uri` is not looked for; none if its scheme may be fetched, or it is local."""
    if not is_remote(uri) or uri.startswith(S3):
        return None
    scheme = uri.partition("://")[0].lower()
    added = os.environ.get("DFRAY_FETCH", "").lower().split(",")
    if scheme in (name.strip() for name in added):
        return None
    return f"{scheme}:// is not fetched: DFRAY_FETCH adds schemes to file and s3"


def join(uri: str, *names: str) -> str:
    """Return `uri` extended by `names`, for local paths and URIs alike.

    Slashes in a name are part of it: in an object store `a`, `/a` and `a/` are three keys.
    """
    return "/".join([uri.rstrip("/"), *names])


def absolute(uri: str) -> str:
    """Return `uri` so that every process of a cluster can resolve it: local paths made absolute."""
    return uri if is_remote(uri) else os.path.abspath(uri.removeprefix(_FILE))


def filesystem(uri: str) -> tuple[AbstractFileSystem, str]:
    """Return the fsspec filesystem of `uri`, and the path inside it.

    Raises:
        StorageError: URIs of this scheme are not fetched, or nothing is installed that reads them.
    """
    import fsspec

    if reason := why_not_fetched(uri):
        raise StorageError(f"{uri} cannot be looked at: {reason}.")

    # Not fsspec.url_to_fs, which reads `::` in a name as a chain of URLs and `?versionId=` as an option.
    if not is_remote(uri):
        return fsspec.filesystem("file"), absolute(uri)
    if uri.startswith(S3):
        from dfray.storage.object_store import object_store

        return object_store(), uri.removeprefix(S3)
    scheme = uri.partition("://")[0]
    fs = attempt(lambda: fsspec.filesystem(scheme), uri, "look at")
    return fs, str(fs._strip_protocol(uri))


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
