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
from dfray.faces.digests import DigestReader
from dfray.tables import Row

_AT_ONCE = 16
_COLUMNS = ("video_id", "dataset", "split", "label", "uri", "kind", "stamp")
BY = "bytes"
_Key = tuple[Hashable, ...] | None


def equal_files(
    videos: pa.Table, stall_limit_s: float, *, crossing_alone: bool = False
) -> list[EqualVideos]:
    """Return the groups of videos whose files are equal; those that cross splits first.

    Args:
        videos: VIDEOS, with stamps; one without is compared by its URI alone.
        stall_limit_s: `faces.stall_limit_s`, for local files.
        crossing_alone: only groups that lie in training and in test; files of one split are not opened.

    Raises:
        StorageError: an object of a bucket cannot be read, or the disk of a local file hangs.
    """
    rows = videos.select(_COLUMNS).to_pylist()
    keys: list[_Key] = [None] * len(rows)
    with DigestReader(stall_limit_s) as reader:
        for indices in _of_one_size(rows):
            same_size = [rows[index] for index in indices]
            if len(indices) > 1 and (not crossing_alone or _crosses(same_size)):
                contents = _contents(reader, {row["uri"]: row for row in same_size})
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


def _contents(reader: DigestReader, rows: Mapping[str, Row]) -> Mapping[str, _Key]:
    """Return a key of the content of each URI.

    Args:
        rows: URI -> row, all of one size.
    """
    if len(rows) == 1:
        return {uri: (uri,) for uri in rows}
    by_stamp = {uri: (row["stamp"],) for uri, row in rows.items() if _has_stamp_alone(row)}
    opened = {uri: row for uri, row in rows.items() if uri not in by_stamp}
    if all(
        storage.is_remote(uri) and storage.tells_content(row["stamp"])
        for uri, row in opened.items()
    ):
        return by_stamp | {uri: (row["stamp"],) for uri, row in opened.items()}
    remote = {uri: row for uri, row in opened.items() if storage.is_remote(uri)}
    local = {uri: row for uri, row in opened.items() if uri not in remote}
    if not remote:
        local = _of_equal_starts(reader, local)
    found = dict(zip(local, reader.digests(_places(local)), strict=True))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found |= zip(remote, pool.map(_remote_digest, remote.values()), strict=True)
    keys = {uri: (_size(rows[uri]), digest) for uri, digest in found.items() if digest}
    return dict.fromkeys(opened) | by_stamp | keys


def _of_equal_starts(reader: DigestReader, rows: Mapping[str, Row]) -> dict[str, Row]:
    """Return the rows of local videos that have their first sample in common with another one."""
    by_start: defaultdict[str, dict[str, Row]] = defaultdict(dict)
    for uri, start in zip(rows, reader.digests(_places(rows), n_samples=1), strict=True):
        if start is not None:
            by_start[start][uri] = rows[uri]
    return {uri: row for same in by_start.values() if len(same) > 1 for uri, row in same.items()}


def _places(rows: Mapping[str, Row]) -> list[tuple[str, str]]:
    return [(uri, row["kind"]) for uri, row in rows.items()]


def _has_stamp_alone(row: Row) -> bool:
    """Return True for what is compared by its stamp alone: a remote folder, or a file without ranges."""
    is_folder = row["kind"] != "video"
    return storage.is_remote(row["uri"]) and (is_folder or not storage.serves_ranges(row["uri"]))


def _size(row: Row) -> int | None:
    return storage.size_of(row["stamp"]) if row["stamp"] else None


def _remote_digest(row: Row) -> str:
    return storage.remote_sample_digest(row["uri"], storage.size_of(row["stamp"]))
