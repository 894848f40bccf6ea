"""Verification of a store: every shard against its commit record, and the removal of damaged ones.

A removed shard leaves its videos missing, so the next extraction takes them anew, as after one that was cut
off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dfray import storage
from dfray.errors import DamagedShardError, SchemaError
from dfray.faces.shard_file import CommitRecord, iter_row_groups, why_changed
from dfray.faces.shards import FacesStore
from dfray.tables import OUTCOMES

_AT_ONCE = 4


@dataclass(frozen=True)
class DamagedShard:
    """Shard that is not as it was committed.

    Attributes:
        videos: video_ids; empty if the commit record is what is damaged.
    """

    name: str
    reason: str
    videos: Sequence[str]


def verify(store: FacesStore, shards: Sequence[str]) -> Iterator[DamagedShard | None]:
    """Yield what is damaged of each shard, in order; None: nothing.

    A file of faces that was written without a SHA-256 is decoded.

    Raises:
        StorageError: the store cannot be read.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(lambda shard: _verified(store, shard), shards)


def _verified(store: FacesStore, shard: str) -> DamagedShard | None:
    videos: list[str] = []
    try:
        record = CommitRecord.read(store.table_uri("videos", shard))
        videos = record.videos
        OUTCOMES.read(store.table_uri("outcomes", shard))
        reason = _fault_of_faces(store.shard_uri(shard), record)
    except (SchemaError, DamagedShardError) as error:
        reason = error.message
    return DamagedShard(shard, reason, videos) if reason else None


def _fault_of_faces(uri: str, record: CommitRecord) -> str | None:
    if not record.n_faces:
        return None
    if not storage.exists(uri):
        return f"{uri} is gone"
    if record.sha256 is not None:
        return why_changed(uri, record)
    for _ in iter_row_groups(uri):
        pass
    return None
