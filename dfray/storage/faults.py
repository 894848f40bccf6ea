"""Faults of disks and object stores as errors with a hint at the fix."""

from __future__ import annotations

import errno
import re
from typing import Any

from dfray.errors import NoSpaceError, StorageError

_FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL_TEXT = re.compile("No space left on device|quota exceeded|disk is full|File too large", re.I)
"""Words of libraries that pass no errno on: safetensors, torch, SQLite, servers."""
_FULL_STORE = ("Quota", "StorageFull", "InsufficientStorage", "EntityTooLarge")
FULL_HINT = "The disk is full: free some space or choose another work_dir; finished work is kept."


def explain(error: Exception, uri: str, verb: str) -> StorageError:
    """Return `error` as a StorageError that names the place and a hint at the fix."""
    cause = f"{type(error).__name__}: {str(error).strip().rstrip('.')}"
    message = printable(f"Cannot {verb} {uri}: {cause}.")
    code, status = answer_of(error)
    if is_full(error):
        return NoSpaceError(message, FULL_HINT)
    if status == 507 or any(word in code for word in _FULL_STORE):
        return NoSpaceError(
            message,
            "The bucket is full, or takes nothing of this size: free some space, raise its quota or "
            "choose another work_dir; finished work is kept.",
        )
    if isinstance(error, PermissionError):
        hint = "Check the rights of the user, or the bucket's policy and the AWS credentials."
    elif code == "NoSuchBucket" or ("://" in uri and isinstance(error, FileNotFoundError)):
        hint = (
            "Check that the bucket and the key exist, and AWS_ENDPOINT_URL if it is not Amazon's."
        )
    elif isinstance(error, FileNotFoundError):
        hint = "Check the path."
    elif status == 412:  # Precondition Failed
        hint = "The file was replaced while it was read: run again; finished work is kept."
    elif status >= 500 or code == "SlowDown" or _is_of_the_network(error):
        hint = (
            "The store does not answer as it should, and was tried again and again: check the network "
            "and the endpoint, then run again; finished work is kept."
        )
    else:
        hint = "Check the path or URI and the credentials."
    return StorageError(message, hint)


def is_full(error: BaseException) -> bool:
    """Return True if a disk is full, or a quota used up, by the error's number or its words."""
    return getattr(error, "errno", None) in _FULL_DISK or bool(_FULL_TEXT.search(str(error)))


def printable(name: str) -> str:
    """Return `name` with its bytes that are not UTF-8 as `\\xNN`: no terminal and no table takes them."""
    escaped = name.encode("utf-8", "backslashreplace").decode()
    return re.sub(r"\\udc([89a-f][0-9a-f])", r"\\x\1", escaped)  # what Python makes of such a byte


def answer_of(error: Exception) -> tuple[str, int]:
    """Return the S3 code and the HTTP status of the object store's answer, or ("", 0).

    s3fs translates botocore's errors, and keeps them as the cause.
    """
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    answer: dict[str, Any] = response or {}
    code = answer.get("Error", {}).get("Code", "")
    return str(code), int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _is_of_the_network(error: Exception) -> bool:
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    # By name: botocore comes with s3fs, and is not imported where only local files are read.
    return "HTTPClientError" in [kind.__name__ for kind in type(error).__mro__]
