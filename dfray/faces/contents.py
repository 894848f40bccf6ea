"""Content of listed videos: the same as when their faces were stored, or another.

A file is the same while its stamp is. If only its time is another, as of a corpus that was copied anew, the
digest decides that was stored with its faces; a bucket's ETag decides by itself. Faces of the time before
there were stamps are those of the file as it is first listed, and of its size from then on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import pyarrow as pa

from dfray import storage
from dfray.faces.digests import DigestReader
from dfray.faces.shards import FacesStore
from dfray.tables import VIDEOS, Row

_Video = tuple[str, str]
"""video_id and URI."""
_Contents = Mapping[str | None, str | None]
"""Digest of each content of a video whose faces are stored."""


def with_contents(
    videos: pa.Table, earlier: pa.Table | None, store: FacesStore, stall_limit_s: float
) -> pa.Table:
    """Return VIDEOS with the content of each listed video.

    Args:
        videos: VIDEOS as they are listed now.
        earlier: VIDEOS as they were listed before.
        store: of their faces.
        stall_limit_s: `faces.stall_limit_s`, for files whose digest decides.

    Raises:
        StorageError: the disk of such a file hangs.
    """
    if videos["stamp"].null_count == videos.num_rows:
        return videos
    stored = _stored_contents(store)
    rows = videos.select(["video_id", "uri", "kind", "stamp"]).to_pylist()
    before = {} if earlier is None else _by_video(earlier)
    told = [_told(row, before, stored) for row in rows]
    due = [
        (row["uri"], row["kind"])
        for row, (_, candidates) in zip(rows, told, strict=True)
        if candidates
    ]
    with DigestReader(stall_limit_s) as reader:
        digests = iter(reader.digests(due))
    contents = [
        candidates.get(next(digests), expected) if candidates else expected
        for expected, candidates in told
    ]
    number = videos.schema.get_field_index("content")
    column = pa.array(contents, pa.string())
    return videos.set_column(number, VIDEOS.schema.field("content"), column)


def _told(
    row: Row, before: Mapping[_Video, Row], stored: Mapping[_Video, _Contents]
) -> tuple[str | None, dict[str | None, str]]:
    """Return the content by stamps, and digest -> content where the digest of a local file decides."""
    stamp, contents = row["stamp"], stored.get(_video(row), {})
    if stamp is None:
        return None, {}
    expected = _expected(stamp, before.get(_video(row)), is_unstamped=set(contents) == {None})
    if expected in contents or not contents:
        return expected, {}
    same_size = {
        content: digest
        for content, digest in contents.items()
        if content is not None and storage.have_same_size(content, stamp)
    }
    if stamp in same_size:
        return str(stamp), {}
    if storage.is_remote(row["uri"]):
        return expected, {}
    candidates: dict[str | None, str] = {
        digest: content for content, digest in reversed(same_size.items()) if digest
    }
    return expected, candidates


def _expected(stamp: str, earlier: Row | None, *, is_unstamped: bool) -> str | None:
    """Return the content by the earlier manifest alone.

    Args:
        is_unstamped: the video's faces were stored before there were stamps.
    """
    if earlier is None:
        return None if is_unstamped else stamp
    before: str | None = earlier["stamp"]
    content: str | None = earlier["content"]
    is_same = before in (None, stamp)
    if is_same or (content is None and storage.have_same_size(str(before), stamp)):
        return content
    return stamp


def _stored_contents(store: FacesStore) -> Mapping[_Video, _Contents]:
    """Return the contents of each stored video, with their digests."""
    contents: dict[_Video, dict[str | None, str | None]] = defaultdict(dict)
    table = store.summaries().select(["video_id", "uri", "content", "digest"])
    for row in table.to_pylist():
        contents[_video(row)][row["content"]] = row["digest"]
    return contents


def _by_video(earlier: pa.Table) -> Mapping[_Video, Row]:
    """Return the rows of an earlier manifest, with stamps and contents."""
    rows = earlier.select(["video_id", "uri", "stamp", "content"]).to_pylist()
    return {_video(row): row for row in rows}


def _video(row: Row) -> _Video:
    return row["video_id"], row["uri"]
