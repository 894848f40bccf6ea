"""Ids of videos whose names repeat in a collection: numbering that starts anew in each folder."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from dfray.datasets.readers.rows import VideoRow

_LONGER: tuple[Callable[[str], str], ...] = (lambda path: os.path.splitext(path)[0], str)
"""Stems for ids that are shared: the path without its suffix, then with it."""


def distinct_ids(rows: Iterable[tuple[VideoRow, str]]) -> Iterator[VideoRow]:
    """Yield the rows with an id for each file: dataset/method/path in place of an id that files share.

    All other ids stay as they are, so a store of faces still matches. Two rows of one file keep one id: the
    manifest refuses them.

    Args:
        rows: (row, path of its file below the corpus's root).
    """
    rows = list(rows)
    for stem_of in _LONGER:
        uris = defaultdict(set)
        for row, _ in rows:
            uris[row["video_id"]].add(row["uri"])
        for row, path in rows:
            if len(uris[row["video_id"]]) > 1:
                row["video_id"] = f"{row['dataset']}/{row['method']}/{stem_of(path)}"
    yield from (row for row, _ in rows)
