"""File of scores that a killed command leaves whole: parts beside it, and one step that makes it.

    scores.parquet.parts/   while inputs are scored: lock, 000000.parquet, 000001.parquet, ...
    scores.parquet          at the end: what it held before and all parts, each input once

A part is written atomically, when `commit_s` have passed since the last one and a score comes. The file is
replaced atomically, and then the parts are removed; a command that is killed between the two leaves scores in
both, and the next one keeps each once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow as pa

from dfray import storage
from dfray.errors import UserError
from dfray.serving.score_formats import Writer, new_writer, read_tables, suffix_of
from dfray.serving.score_table import FILE_SCORES, FileScore, ScoringModel
from dfray.tables import Row
from dfray.text import csv_text

COMMIT_S = 5.0
"""Seconds of scores that a kill may cost at most, and those of one input."""
_PART_ROWS = 1000
_PART = ".parquet"


class ScoreStore:
    """The scores at `uri`, local or s3://, in Parquet, CSV or JSON lines by the suffix.

    Args:
        model: that scores; scores of another are refused.
        commit_s: at most so many seconds of work are kept in memory.

    Raises:
        UserError: the suffix is none of these.
    """

    def __init__(self, uri: str, model: ScoringModel, commit_s: float = COMMIT_S) -> None:
        self.uri, self._model, self._commit_s = storage.absolute(uri), model, commit_s
        self._suffix = suffix_of(uri)
        self._parts = f"{self.uri}.parts"
        self._done: set[str] = set()
        self._pending: list[Row] = []
        self._committed_s = time.monotonic()
        self._next_part = 0

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the store while the block runs; make the file at its end. An error keeps the parts.

        Raises:
            LockedError: another command writes to it.
            UserError: it has scores of another model, version or threshold.
            StorageError: it cannot be written.
        """
        with storage.locked(self._parts, "score"):
            self._read()
            try:
                yield
            finally:
                self._commit()
            self._merge()
        if storage.holder_of(self._parts) is None:  # else another command has begun
            storage.remove_tree(self._parts)

    def has(self, name: str) -> bool:
        """Return True if the input has a score."""
        return self._key(name) in self._done

    def add(self, score: FileScore) -> None:
        """Add the score of an input that has none."""
        self._done.add(self._key(score.input))
        self._pending.append(score.row())
        is_due = time.monotonic() - self._committed_s >= self._commit_s
        if is_due or len(self._pending) >= _PART_ROWS:
            self._commit()

    def _read(self) -> None:
        """Find what has a score."""
        self._next_part = 1 + max((int(Path(part).stem) for part in self._part_uris()), default=-1)
        for table in self._tables():
            self._done.update(map(self._key, table["input"].to_pylist()))

    def _key(self, name: str) -> str:
        """Return the name as the file holds it: a CSV has no formula and no control character."""
        return csv_text(name) if self._suffix == ".csv" else name

    def _commit(self) -> None:
        """Write what is pending as the next part."""
        if self._pending:
            part = storage.join(self._parts, f"{self._next_part:06d}{_PART}")
            FILE_SCORES.write(FILE_SCORES.from_rows(self._pending), part)
            self._next_part += 1
            self._pending = []
        self._committed_s = time.monotonic()

    def _merge(self) -> None:
        """Make the file of what it held and all parts, and remove these."""
        parts = self._part_uris()
        if not parts and storage.exists(self.uri):
            return
        with storage.temporary_folder() as folder:
            path = str(Path(folder, "scores"))
            with closing(new_writer(path, self._suffix)) as writer:
                self._write_once(self._tables(), writer)
            storage.put(path, self.uri)
        for part in parts:
            storage.remove(part)

    def _write_once(self, tables: Iterable[pa.Table], writer: Writer) -> None:
        """Write each row whose input was not written."""
        written: set[str] = set()
        for table in tables:
            is_new = []
            for key in map(self._key, table["input"].to_pylist()):
                is_new.append(key not in written)
                written.add(key)
            writer.write(table.filter(pa.array(is_new)))

    def _tables(self) -> Iterator[pa.Table]:
        """Yield the tables of the file, if there is one, and of the parts."""
        if storage.exists(self.uri):
            with storage.local_copy(self.uri) as path:
                yield from map(self._checked, read_tables(path, self._suffix, self.uri))
        for part in self._part_uris():
            yield self._checked(FILE_SCORES.read(part))

    def _part_uris(self) -> list[str]:
        return storage.list_files(self._parts, _PART)

    def _checked(self, table: pa.Table) -> pa.Table:
        """Return the table, if it is of this model."""
        expected = self._model
        rows = zip(
            *(table[name].to_pylist() for name in ("model", "version", "checksum", "threshold")),
            strict=True,
        )
        for name, version, checksum, threshold in set(rows):
            found = ScoringModel(name, version, checksum, threshold, "")
            if _identity(found) != _identity(expected):
                raise UserError(
                    f"{self.uri} has scores of {found} with the threshold {threshold:.6g} (weights "
                    f"{checksum[:12]}); this would be {expected} with {expected.threshold:.6g} (weights "
                    f"{expected.checksum[:12]}).",
                    f"Name another --out, score with --model {found}, or remove {self.uri} and "
                    f"{self._parts}.",
                )
        return table


def _identity(model: ScoringModel) -> tuple[str, str, str, float]:
    return model.name, model.version, model.checksum, model.threshold
