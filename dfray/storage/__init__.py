"""Local paths and s3:// alike: the only package that uses fsspec and s3fs.

Paths are literal: no character of a name has a meaning. Writes are atomic: a reader sees the whole file or
none. Faults that pass are retried; all others are a `StorageError` that names the place and the fix. An
endpoint of S3 other than Amazon's comes from AWS_ENDPOINT_URL; AWS_MAX_ATTEMPTS is the number of tries of a
request.
"""

from dfray.storage.copies import (
    local_copies,
    local_copy,
    local_folder,
    put,
    put_folder,
    put_tree,
    read_bytes,
    remove,
    remove_tree,
    sha256,
    write_bytes,
)
from dfray.storage.faults import printable
from dfray.storage.filesystems import (
    ATTEMPTS,
    absolute,
    arrow_filesystem,
    attempt,
    filesystem,
    is_remote,
    join,
    why_not_fetched,
)
from dfray.storage.globs import is_pattern, match_files
from dfray.storage.listing import (
    ListedFile,
    exists,
    list_files,
    list_folders,
    list_stamped,
    total_bytes,
    walk_files,
    walk_stamped,
)
from dfray.storage.lock import Lock, holder_of, is_surely_over, locked, require_unlocked
from dfray.storage.lock_holder import Holder
from dfray.storage.ranges import PartialCopy, Range, partial_copy, serves_ranges
from dfray.storage.regular import why_not_regular
from dfray.storage.room import free_bytes, require_writable
from dfray.storage.scratch import short_folder, temporary_folder
from dfray.storage.stamps import (
    SAMPLES,
    FolderStamp,
    have_same_size,
    remote_sample_digest,
    sample_digest,
    size_of,
    tells_content,
)

__all__ = [
    "ATTEMPTS",
    "SAMPLES",
    "FolderStamp",
    "Holder",
    "ListedFile",
    "Lock",
    "PartialCopy",
    "Range",
    "absolute",
    "arrow_filesystem",
    "attempt",
    "exists",
    "filesystem",
    "free_bytes",
    "have_same_size",
    "holder_of",
    "is_pattern",
    "is_remote",
    "is_surely_over",
    "join",
    "list_files",
    "list_folders",
    "list_stamped",
    "local_copies",
    "local_copy",
    "local_folder",
    "locked",
    "match_files",
    "partial_copy",
    "printable",
    "put",
    "put_folder",
    "put_tree",
    "read_bytes",
    "remote_sample_digest",
    "remove",
    "remove_tree",
    "require_unlocked",
    "require_writable",
    "sample_digest",
    "serves_ranges",
    "sha256",
    "short_folder",
    "size_of",
    "tells_content",
    "temporary_folder",
    "total_bytes",
    "walk_files",
    "walk_stamped",
    "why_not_fetched",
    "why_not_regular",
    "write_bytes",
]
