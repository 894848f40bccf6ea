"""Documents that differ from a valid one in one place, as an edit by hand or damage leaves them."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0.25,
    10**30,
    math.nan,
    -math.inf,
    "",
    "text",
    [],
    [None],
    {},
    {"text": 1},
    {1: [{}]},
)
"""Put in place of each value: another type, none, a number out of bounds, a list in place of a mapping."""
CONTENTS = (
    b"",
    b"\xff\xfe\x00",
    b"null",
    b"[]",
    b"3",
    b'"text"',
    b"NaN",
    b"{}",
    b"{",
    b"[{}]",
    b"\x00" * 64,
)
"""Put in place of a whole file."""
Path = tuple[str | int, ...]


def mutations(document: Any) -> Iterator[tuple[Path, str, Any]]:
    """Yield (path, change, changed copy) for each place of a document and each change."""
    for path in _places(document):
        yield path, "dropped", _changed(document, path, drop=True)
        for value in VALUES:
            yield path, repr(value), _changed(document, path, value)
    if isinstance(document, dict):
        yield ("unknown",), "added", document | {"unknown": 1}


def _places(value: Any, path: Path = ()) -> Iterator[Path]:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for step, part in items:
        yield (*path, step)
        yield from _places(part, (*path, step))


def _changed(document: Any, path: Path, value: Any = None, *, drop: bool = False) -> Any:
    changed = copy.deepcopy(document)
    parent = changed
    for step in path[:-1]:
        parent = parent[step]
    if drop:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return changed
