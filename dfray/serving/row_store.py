"""File of rows of inputs that a killed command leaves whole: parts beside it, and one step that makes it.

    scores.parquet.parts/   while inputs are scored: lock, 000000.parquet, 000001.parquet, ...
    scores.parquet          at the end: what it held before and all parts, each input once

A part is written atomically, when `commit_s` have passed since the last one and a score comes. The file is
replaced atomically, and then the parts are removed; a command that is killed between the two leaves rows in
both, and the next one keeps each once. The rows of one input are in one part.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow as pa

from dfray import storage
from dfray.serving.score_formats import Writer, new_writer, read_tables, suffix_of
from dfray.tables import Row, TableSpec
from dfray.text import csv_text

COMMIT_S = 5.0
"""Seconds of scores that a kill may cost at most, and those of one input."""
_PART_ROWS = 1000
_PART = ".parquet"


class RowStore:
    """The rows at `uri`, local or s3://, in Parquet, CSV or JSON lines by the suffix.

    Args:
        spec: of the table; its column `input` says whose a row is.
        option: of the command that names the file.
        goes_on: keep the rows that are there; else they are replaced, at the end.
        commit_s: at most so many seconds of work are kept in memory.

    Raises:
        UserError: the suffix is none of these.
    """

    def __init__(
        self,
        uri: str,
        spec: TableSpec,
        option: str,
        *,
        goes_on: bool = True,
        commit_s: float = COMMIT_S,
    ) -> None:
        self._suffix = suffix_of(uri, option)
        self.uri, self._spec, self._commit_s = storage.absolute(uri), spec, commit_s
        self._parts, self._goes_on = f"{self.uri}.parts", goes_on
        self._pending: list[Row] = []
        self._committed_s = time.monotonic()
        self._next_part = 0

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the store while the block runs; make the file at its end. An error keeps the parts.

        Raises:
            LockedError: another command writes to it.
            SchemaError: the file has another table.
            StorageError: it cannot be written.
        """
        with storage.locked(self._parts, "score"):
            if not self._goes_on:
                self._remove(self._part_uris())
            self._next_part = 1 + max(
                (int(Path(part).stem) for part in self._part_uris()), default=-1
            )
            for tables in self._sources():
                for table in tables:
                    self._note(table)
            try:
                yield
            finally:
                self._commit()
            self._merge()
        if storage.holder_of(self._parts) is None:  # else another command has begun
            storage.remove_tree(self._parts)

    def key_of(self, name: str) -> str:
        """Return an input as the file holds it: a CSV has no formula and no control character."""
        return csv_text(name) if self._suffix == ".csv" else name

    def add(self, rows: Sequence[Row]) -> None:
        """Add all rows of an input."""
        self._pending += rows
        is_due = time.monotonic() - self._committed_s >= self._commit_s
        if is_due or len(self._pending) >= _PART_ROWS:
            self._commit()

    def _note(self, table: pa.Table) -> None:
        """Take note of rows that are there."""

    def _commit(self) -> None:
        """Write what is pending as the next part."""
        if self._pending:
            part = storage.join(self._parts, f"{self._next_part:06d}{_PART}")
            self._spec.write(self._spec.from_rows(self._pending), part)
            self._next_part += 1
            self._pending = []
        self._committed_s = time.monotonic()

    def _merge(self) -> None:
        """Make the file of what it held and all parts, and remove these."""
        parts = self._part_uris()
        if not parts and self._goes_on and storage.exists(self.uri):
            return
        with storage.temporary_folder() as folder:
            path = str(Path(folder, "rows"))
            with closing(new_writer(path, self._suffix, self._spec)) as writer:
                self._write_once(writer)
            storage.put(path, self.uri)
        self._remove(parts)

    def _write_once(self, writer: Writer) -> None:
        """Write the rows of each input from the first source that has it."""
        written: set[str] = set()
        for tables in self._sources():
            of_source: set[str] = set()
            for table in tables:
                keys = [self.key_of(name) for name in table["input"].to_pylist()]
                of_source.update(keys)
                writer.write(
                    table.filter(pa.array([key not in written for key in keys], pa.bool_()))
                )
            written |= of_source

    def _sources(self) -> Iterator[Iterable[pa.Table]]:
        """Yield the tables of the file, if it is there and kept, and then those of each part."""
        if self._goes_on and storage.exists(self.uri):
            with storage.local_copy(self.uri) as path:
                yield read_tables(path, self._suffix, self.uri, self._spec)
        for part in self._part_uris():
            yield [self._spec.read(part)]

    def _part_uris(self) -> list[str]:
        return storage.list_files(self._parts, _PART)

    def _remove(self, parts: Iterable[str]) -> None:
        for part in parts:
            storage.remove(part)
