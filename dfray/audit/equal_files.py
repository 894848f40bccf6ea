"""Files of equal bytes, found before anything is extracted.

The listing of the corpora gives the size of each file, so only files of a size that another one has, too, are
looked at: on a disk by their first 64 KiB, and if those are equal by 16 samples of 64 KiB (a file of up to
1 MiB is read whole); in a bucket by their ETags, and by ranges of those that were uploaded in parts. A
folder of pictures is compared by names, sizes and samples of its pictures. Hard links, copies and symbolic
links are equal to what they lead to; empty files are left out, as they hold nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from dfray import storage
from dfray.audit.equal import TRAINED, EqualVideos, grouped
from dfray.datasets.files import pictures_in
from dfray.tables import Row

_AT_ONCE = 16
_COLUMNS = ("video_id", "dataset", "split", "label", "uri", "kind", "stamp")
BY = "bytes"
_Key = tuple[Hashable, ...] | None


def equal_files(videos: pa.Table, *, crossing_alone: bool = False) -> list[EqualVideos]:
    """Return the groups of videos whose files are equal; those that cross splits first.

    Args:
        videos: VIDEOS, with stamps; one without is compared by its URI alone.
        crossing_alone: only groups that lie in training and in test; files of one split are not opened.

    Raises:
        StorageError: an object of a bucket cannot be read.
    """
    rows = videos.select(_COLUMNS).to_pylist()
    keys: list[_Key] = [None] * len(rows)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for indices in _of_one_size(rows):
            same_size = [rows[index] for index in indices]
            if len(indices) > 1 and (not crossing_alone or _crosses(same_size)):
                contents = _contents(pool, {row["uri"]: row for row in same_size})
                for index, row in zip(indices, same_size, strict=True):
                    keys[index] = contents[row["uri"]]
    groups = grouped(keys, rows, BY)
    return [group for group in groups if group.crosses] if crossing_alone else groups


def _of_one_size(rows: Sequence[Row]) -> Iterable[list[int]]:
    """Return the indices of the rows of each size, and of each URI without one."""
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        size = _size(row)
        if size != 0:
            groups[row["uri"] if size is None else (row["kind"] == "video", size)].append(index)
    return groups.values()


def _crosses(rows: Sequence[Row]) -> bool:
    splits = {row["split"] for row in rows}
    return "test" in splits and not splits.isdisjoint(TRAINED)


def _contents(pool: ThreadPoolExecutor, rows: Mapping[str, Row]) -> Mapping[str, _Key]:
    """Return a key of the content of each URI.

    Args:
        rows: URI -> row, all of one size.
    """
    if len(rows) == 1:
        return {uri: (uri,) for uri in rows}
    if all(_is_told_by_stamp(row) for row in rows.values()):
        return {uri: (row["stamp"],) for uri, row in rows.items()}
    if not any(storage.is_remote(uri) for uri in rows):
        starts = zip(rows, pool.map(_first_sample, rows.values()), strict=True)
        by_start: defaultdict[str | None, dict[str, Row]] = defaultdict(dict)
        for uri, start in starts:
            by_start[start][uri] = rows[uri]
        by_start.pop(None, None)
        compared = {
            u: row for same in by_start.values() if len(same) > 1 for u, row in same.items()
        }
    else:
        compared = dict(rows)
    digests = zip(compared.values(), pool.map(_digest, compared.values()), strict=True)
    found = {row["uri"]: (_size(row), digest) if digest else None for row, digest in digests}
    return dict.fromkeys(rows) | found


def _is_told_by_stamp(row: Row) -> bool:
    """Return True if another stamp is another content: of an object of one part, or a remote folder."""
    if not storage.is_remote(row["uri"]):
        return False
    is_folder = row["kind"] != "video"
    return is_folder or not storage.serves_ranges(row["uri"]) or storage.tells_content(row["stamp"])


def _size(row: Row) -> int | None:
    return storage.size_of(row["stamp"]) if row["stamp"] else None


def _first_sample(row: Row) -> str | None:
    return storage.sample_digest(_files(row), n_samples=1)


def _digest(row: Row) -> str | None:
    if storage.is_remote(row["uri"]):
        return storage.remote_sample_digest(row["uri"], storage.size_of(row["stamp"]))
    return storage.sample_digest(_files(row))


def _files(row: Row) -> list[str]:
    return [row["uri"]] if row["kind"] == "video" else pictures_in(row["uri"])
