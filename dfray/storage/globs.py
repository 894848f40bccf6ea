"""Files whose names match a pattern, on a disk and in a bucket alike."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator

from dfray.storage.filesystems import absolute, is_remote
from dfray.storage.listing import walk_files

_MAGIC = re.compile(r"[*?[]")


def is_pattern(uri: str) -> bool:
    """Return True if `uri` has a character that a pattern has: `*`, `?` or `[`."""
    return _MAGIC.search(uri) is not None


def match_files(pattern: str) -> Iterator[str]:
    """Yield the URIs of the files that match, in order.

    `*` and `?` stand for characters of one name, `[ab]` for one of these, `**` for any folders. In a bucket
    all keys below the last folder without such a character are listed.

    Raises:
        UserError: that folder of a bucket holds nothing.
    """
    if not is_remote(pattern):
        paths = sorted(glob.iglob(absolute(pattern), recursive=True))
        yield from (path for path in paths if not os.path.isdir(path))
        return
    from fsspec.utils import glob_translate

    matches = re.compile(glob_translate(pattern)).match
    folder = _MAGIC.split(pattern, maxsplit=1)[0].rpartition("/")[0]
    yield from (uri for uri in walk_files(folder) if matches(uri))
