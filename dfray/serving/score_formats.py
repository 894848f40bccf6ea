"""FILE_SCORES in a file: Parquet, CSV or JSON lines, read and written a part at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import IO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from dfray.errors import SchemaError, UserError, first_line
from dfray.serving.score_table import FILE_SCORES
from dfray.tables import Row
from dfray.text import to_csv

SUFFIXES = (".parquet", ".csv", ".jsonl")
_ROWS = 4096


class Writer(Protocol):
    """Writer of one file of scores; close it after use."""

    def write(self, table: pa.Table) -> None: ...

    def close(self) -> None: ...


def suffix_of(uri: str) -> str:
    """Return the suffix of a file of scores.

    Raises:
        UserError: it has another.
    """
    for suffix in SUFFIXES:
        if uri.lower().endswith(suffix):
            return suffix
    raise UserError(
        f"--out {uri} has none of the suffixes {', '.join(SUFFIXES)}.",
        "The suffix chooses the format, as in --out scores.parquet.",
    )


def new_writer(path: str, suffix: str) -> Writer:
    """Return a writer of a new local file at `path`."""
    if suffix == ".parquet":
        return _ParquetFile(path)
    return _CsvFile(path) if suffix == ".csv" else _JsonFile(path)


def read_tables(path: str, suffix: str, source: str) -> Iterator[pa.Table]:
    """Yield FILE_SCORES of the local file at `path`, a few thousand rows at a time.

    Args:
        source: its name in errors.

    Raises:
        SchemaError: it is damaged, or no file of scores.
    """
    read = {".parquet": _parquet_tables, ".csv": _csv_tables, ".jsonl": _json_tables}[suffix]
    try:
        for table in read(path):
            yield FILE_SCORES.conform(table, source)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SchemaError(f"{source} is no file of scores: {first_line(error)}.") from error


class _ParquetFile:
    def __init__(self, path: str) -> None:
        self._file = pq.ParquetWriter(
            path, FILE_SCORES.schema, compression="zstd", write_page_checksum=True
        )

    def write(self, table: pa.Table) -> None:
        self._file.write_table(FILE_SCORES.conform(table, "scores"))

    def close(self) -> None:
        self._file.close()


class _TextFile:
    """File of a line for each row."""

    def __init__(self, path: str) -> None:
        self._file: IO[str] = open(path, "w", encoding="utf-8", newline="")  # noqa: SIM115 - see close

    def write(self, table: pa.Table) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self._file.close()


class _CsvFile(_TextFile):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._file.write(to_csv([FILE_SCORES.names]))

    def write(self, table: pa.Table) -> None:
        rows = [["" if v is None else v for v in row.values()] for row in table.to_pylist()]
        self._file.write(to_csv(rows))


class _JsonFile(_TextFile):
    def write(self, table: pa.Table) -> None:
        self._file.writelines(json_line(row) + "\n" for row in table.to_pylist())


def json_line(row: Row) -> str:
    """Return a row as one line of JSON."""
    return json.dumps(row, allow_nan=False)


def _parquet_tables(path: str) -> Iterator[pa.Table]:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(_ROWS):
            yield pa.Table.from_batches([batch])


def _csv_tables(path: str) -> Iterator[pa.Table]:
    types = {column.name: column.type for column in FILE_SCORES.columns}
    with open(path, encoding="utf-8", newline="") as file:
        yield from _tables(
            {k: _parsed(v, types[k]) for k, v in row.items() if k in types}
            for row in csv.DictReader(file)
        )


def _parsed(text: str | None, kind: pa.DataType) -> object:
    if not text:
        return None
    if pa.types.is_integer(kind):
        return int(text)
    return float(text) if pa.types.is_floating(kind) else text


def _json_tables(path: str) -> Iterator[pa.Table]:
    with open(path, encoding="utf-8") as file:
        yield from _tables(json.loads(line) for line in file)


def _tables(rows: Iterator[Row]) -> Iterator[pa.Table]:
    names = FILE_SCORES.names
    block: list[Row] = []
    for row in rows:
        if missing := [name for name in names if name not in row]:
            raise ValueError(f"it lacks the column(s) {', '.join(missing)}")
        block.append(row)
        if len(block) == _ROWS:
            yield FILE_SCORES.from_rows(block)
            block = []
    if block:
        yield FILE_SCORES.from_rows(block)
