"""Shard of faces that is read with its page checksums verified, and told from what was committed if it fails.

Checksums of pages cost little and are verified whenever faces are read. They do not cover the footer and the
headers of pages; the SHA-256 of the whole file, in the commit record, does, and `faces.verification` compares
it on request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from dfray import storage
from dfray.errors import DamagedShardError, DfrayError, StorageError, first_line
from dfray.tables import SUMMARIES

T = TypeVar("T")
Columns = Sequence[str] | None

ADVICE = "Run `dfray extract RECIPE --verify`: it names the videos of damaged shards and extracts them again."


@dataclass(frozen=True)
class CommitRecord:
    """Content of a shard's commit record.

    Attributes:
        videos: video_ids, with or without faces.
        sha256: of the file of faces; None: it holds none, or was written without.
    """

    videos: list[str]
    n_faces: int
    sha256: str | None

    @classmethod
    def read(cls, uri: str) -> CommitRecord:
        """Return the commit record at `uri`.

        Raises:
            SchemaError, StorageError: it is damaged, or cannot be read.
        """
        rows = SUMMARIES.read(uri).select(["video_id", "n_faces", "shard_sha256"]).to_pylist()
        return cls(
            [row["video_id"] for row in rows],
            sum(row["n_faces"] for row in rows),
            next((row["shard_sha256"] for row in rows if row["shard_sha256"]), None),
        )


class ShardFile:
    """File of faces of a committed shard, for one thread at a time.

    Every read raises a DamagedShardError if the file is not the one that was committed, and another
    StorageError if it cannot be reached.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        fs, path = storage.arrow_filesystem(uri)
        self._file = self._attempt(
            lambda: pq.ParquetFile(path, filesystem=fs, page_checksum_verification=True)
        )

    @property
    def num_row_groups(self) -> int:
        """Number of row groups."""
        return int(self._file.num_row_groups)

    def read(self, columns: Columns = None) -> pa.Table:
        """Return all rows."""
        return self._attempt(lambda: self._file.read(columns=columns))

    def read_row_group(
        self, group: int, columns: Columns = None, *, use_threads: bool = True
    ) -> pa.Table:
        """Return the rows of one row group."""
        return self.read_row_groups([group], columns, use_threads=use_threads)

    def read_row_groups(
        self, groups: Sequence[int], columns: Columns = None, *, use_threads: bool = True
    ) -> pa.Table:
        """Return the rows of some row groups."""
        return self._attempt(
            lambda: self._file.read_row_groups(groups, columns=columns, use_threads=use_threads)
        )

    def _attempt(self, read: Callable[[], T]) -> T:
        try:
            return storage.attempt(read, self.uri, "read")
        except StorageError as error:
            if (damage := _damage(self.uri, error.__cause__)) is None:
                raise
            raise damage from error


def iter_row_groups(uri: str, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Yield the row groups of a shard, one at a time, in order."""
    file = ShardFile(uri)
    for group in range(file.num_row_groups):
        yield file.read_row_group(group, columns)


def why_changed(uri: str, record: CommitRecord) -> str | None:
    """Return why the file of faces is not the committed one, by its SHA-256; None: it is, or has none."""
    if record.sha256 is None or storage.sha256(uri) == record.sha256:
        return None
    return "its SHA-256 is not the one in its commit record"


def _damage(uri: str, cause: BaseException | None) -> DamagedShardError | None:
    """Return the error of a shard that is not the one committed; None: it is, or the store is away."""
    store, _, name = uri.rpartition("/faces/")
    record_uri = storage.join(store, "videos", name)
    try:
        record = CommitRecord.read(record_uri) if storage.exists(record_uri) else None
        reason = record and _reason(uri, record, cause)
    except DfrayError:
        return None
    if record is None or reason is None:
        return None
    return DamagedShardError(
        f"The shard {uri}, of {len(record.videos)} video(s) such as {record.videos[0]}, is damaged: "
        f"{reason}.",
        ADVICE,
    )


def _reason(uri: str, record: CommitRecord, cause: BaseException | None) -> str | None:
    if cause is None or isinstance(cause, FileNotFoundError):
        return "the file is gone"
    told = first_line(cause, with_type=False)
    if record.sha256 is not None:
        return told if why_changed(uri, record) else None
    is_of_content = isinstance(cause, OSError) and cause.errno is None  # Arrow's, of pages
    return told if is_of_content or isinstance(cause, pa.ArrowException) else None
