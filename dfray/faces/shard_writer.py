"""Writing of one shard: rows are collected in a local temporary folder, and become visible together."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any, Self, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from dfray import storage
from dfray.config import FacesSection
from dfray.faces.shards import ROW_GROUP, FacesStore
from dfray.tables import FACES, OUTCOMES, SUMMARIES, Row

T = TypeVar("T")

_NEVER_ALIKE = ("image", "box", "keypoints", "landmarks")
"""Columns for which a dictionary only costs time."""


class ShardWriter:
    """Collects the rows of one shard in a local temporary folder, and commits them together.

    As a context it leaves nothing behind: what was not committed is dropped.
    """

    def __init__(self, store: FacesStore, shard: str, settings: FacesSection) -> None:
        self.store, self.shard = store, shard
        self._folder = storage.temporary_folder()
        self._faces_path = os.path.join(self._folder.name, "faces.parquet")
        pixels = {"lz4": "lz4", "zstd": "zstd", "jpeg": "none"}[settings.storage]
        compression = dict.fromkeys(FACES.names, "zstd") | {"image": pixels}
        self._writer: pq.ParquetWriter = self._locally(
            pq.ParquetWriter,
            self._faces_path,
            FACES.schema,
            compression=compression,
            compression_level={"image": 1} if pixels == "zstd" else None,
            use_dictionary=[n for n in FACES.names if n not in _NEVER_ALIKE],
            write_statistics=["video_id", "split"],
            write_page_checksum=True,
        )
        self._pending: list[Row] = []
        self._summaries: list[Row] = []
        self._outcomes: list[Row] = []
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def size_bytes(self) -> int:
        """Bytes of faces on disk so far."""
        return os.path.getsize(self._faces_path)

    def add_face(self, row: Row) -> None:
        self._pending.append(row)
        self.rows += 1
        if len(self._pending) == ROW_GROUP:
            self._flush()

    def add_outcome(self, row: Row) -> None:
        self._outcomes.append(row)

    def add_summary(self, row: Row) -> None:
        self._summaries.append(row)

    def commit(self) -> pa.Table:
        """Make the shard visible, and return its SUMMARIES.

        Raises:
            StorageError: the store or the local temporary folder is full or may not be written, or
                another run has claimed the store.
        """
        self._flush()
        self._locally(self._writer.close)
        digest = storage.sha256(self._faces_path) if self.rows else None
        summaries = SUMMARIES.from_rows([row | {"shard_sha256": digest} for row in self._summaries])
        if self.rows:
            storage.put(self._faces_path, self.store.shard_uri(self.shard))
        OUTCOMES.write(OUTCOMES.from_rows(self._outcomes), self._uri("outcomes"))
        self.store.require_claim()
        SUMMARIES.write(summaries, self._uri("videos"))
        self.close()
        return summaries

    def close(self) -> None:
        """Leave nothing behind; what was not committed is dropped."""
        with contextlib.suppress(OSError):  # a full disk has been told of
            self._writer.close()
        self._folder.cleanup()

    def _flush(self) -> None:
        if self._pending:
            faces = FACES.from_rows(self._pending)
            self._locally(self._writer.write_table, faces, row_group_size=ROW_GROUP)
            self._pending = []

    def _uri(self, folder: str) -> str:
        return self.store.table_uri(folder, self.shard)

    def _locally(self, write: Callable[..., T], *args: Any, **options: Any) -> T:
        return storage.attempt(lambda: write(*args, **options), self._folder.name, "write")
