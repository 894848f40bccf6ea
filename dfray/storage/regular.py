"""Regular files: anything else under a file's name may wait for ever, or have no end."""

from __future__ import annotations

import os
import stat

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def why_not_regular(path: str) -> str | None:
    """Return why the local `path` is not to be opened; none if it is a regular file, or is not there."""
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except (OSError, ValueError):  # to open it gives the reason
        return None
    return None if kind == stat.S_IFREG else f"is {_KINDS.get(kind, 'something else')}, not a file"
