"""Content of listed videos: the same as when their faces were stored, or another.

A file is the same while its stamp is. If only its time is another, as of a corpus that was copied anew, the
digest decides that was stored with its faces; a bucket's ETag decides by itself. Faces of the time before
there were stamps are those of the file as it is first listed, and of its size from then on.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from dfray import storage
from dfray.faces.shards import FacesStore
from dfray.faces.sources import content_digest
from dfray.tables import VIDEOS, Row

_DIGESTS_AT_ONCE, _CHUNK = 16, 64
_Video = tuple[str, str]
"""video_id and URI."""
_Contents = Mapping[str | None, str | None]
"""Digest of each content of a video whose faces are stored."""


def with_contents(videos: pa.Table, earlier: pa.Table | None, store: FacesStore) -> pa.Table:
    """Return VIDEOS with the content of each listed video.

    Args:
        videos: VIDEOS as they are listed now.
        earlier: VIDEOS as they were listed before.
        store: of their faces.
    """
    if videos["stamp"].null_count == videos.num_rows:
        return videos
    stored = _stored_contents(store)
    rows = videos.select(["video_id", "uri", "kind", "stamp"]).to_pylist()
    before = {} if earlier is None else _by_video(earlier)

    def contents_of(chunk: int) -> list[str | None]:
        return [_content(row, before, stored) for row in rows[chunk : chunk + _CHUNK]]

    with ThreadPoolExecutor(_DIGESTS_AT_ONCE) as pool:
        chunks = pool.map(contents_of, range(0, len(rows), _CHUNK))
        column = pa.array(itertools.chain.from_iterable(chunks), pa.string())
    number = videos.schema.get_field_index("content")
    return videos.set_column(number, VIDEOS.schema.field("content"), column)


def _content(
    row: Row, before: Mapping[_Video, Row], stored: Mapping[_Video, _Contents]
) -> str | None:
    stamp, contents = row["stamp"], stored.get(_video(row), {})
    if stamp is None:
        return None
    expected = _expected(stamp, before.get(_video(row)), is_unstamped=set(contents) == {None})
    if expected in contents or not contents:
        return expected
    same_size = {
        content: digest
        for content, digest in contents.items()
        if content is not None and storage.have_same_size(content, stamp)
    }
    if stamp in same_size:
        return str(stamp)
    digest = content_digest(row["uri"], row["kind"]) if any(same_size.values()) else None
    matching = (content for content, other in same_size.items() if other and other == digest)
    return next(matching, expected)


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
