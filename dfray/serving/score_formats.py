"""A table in a file: Parquet, CSV or JSON lines, read and written a part at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import IO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from dfray.documents import json_rows
from dfray.errors import SchemaError, UserError, first_line
from dfray.tables import Row, TableSpec
from dfray.text import to_csv

SUFFIXES = (".parquet", ".csv", ".jsonl")
_ROWS = 4096


class Writer(Protocol):
    """Writer of one file; close it after use."""

    def write(self, table: pa.Table) -> None: ...

    def close(self) -> None: ...


def suffix_of(uri: str, option: str) -> str:
    """Return the suffix of the file that an option of the command names.

    Raises:
        UserError: it has another.
    """
    for suffix in SUFFIXES:
        if uri.lower().endswith(suffix):
            return suffix
    raise UserError(
        f"{option} {uri} has none of the suffixes {', '.join(SUFFIXES)}.",
        f"The suffix chooses the format, as in {option} table.parquet.",
    )


def new_writer(path: str, suffix: str, spec: TableSpec) -> Writer:
    """Return a writer of a new local file at `path`."""
    if suffix == ".parquet":
        return _ParquetFile(path, spec)
    return _CsvFile(path, spec) if suffix == ".csv" else _JsonFile(path)


def read_tables(path: str, suffix: str, source: str, spec: TableSpec) -> Iterator[pa.Table]:
    """Yield the table in the local file at `path`, a few thousand rows at a time.

    Args:
        source: its name in errors.

    Raises:
        SchemaError: it is damaged, or has another table.
    """
    try:
        for table in _tables_of(path, suffix, source, spec):
            yield spec.conform(table, source)
    except (pa.ArrowException, csv.Error, OSError, ValueError) as error:
        raise SchemaError(f"{source} holds no {spec.name}: {first_line(error)}.") from error


class _ParquetFile:
    def __init__(self, path: str, spec: TableSpec) -> None:
        self._spec = spec
        self._file = pq.ParquetWriter(
            path, spec.schema, compression="zstd", write_page_checksum=True
        )

    def write(self, table: pa.Table) -> None:
        self._file.write_table(self._spec.conform(table, self._spec.name))

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
    def __init__(self, path: str, spec: TableSpec) -> None:
        super().__init__(path)
        self._file.write(to_csv([spec.names]))

    def write(self, table: pa.Table) -> None:
        rows = [["" if v is None else v for v in row.values()] for row in table.to_pylist()]
        self._file.write(to_csv(rows))


class _JsonFile(_TextFile):
    def write(self, table: pa.Table) -> None:
        self._file.writelines(json_line(row) + "\n" for row in table.to_pylist())


def json_line(row: Row) -> str:
    """Return a row as one line of JSON."""
    return json.dumps(row, allow_nan=False)


def _tables_of(path: str, suffix: str, source: str, spec: TableSpec) -> Iterator[pa.Table]:
    if suffix == ".parquet":
        return _parquet_tables(path)
    return _csv_tables(path, spec) if suffix == ".csv" else _json_tables(path, source, spec)


def _parquet_tables(path: str) -> Iterator[pa.Table]:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(_ROWS):
            yield pa.Table.from_batches([batch])


def _csv_tables(path: str, spec: TableSpec) -> Iterator[pa.Table]:
    types = {column.name: column.type for column in spec.columns}
    with open(path, encoding="utf-8", newline="") as file:
        rows = (
            {k: _parsed(v, types[k]) for k, v in row.items() if k in types}
            for row in csv.DictReader(file)
        )
        yield from _tables(rows, spec)


def _parsed(text: str | None, kind: pa.DataType) -> object:
    if not text:
        return None
    if pa.types.is_integer(kind):
        return int(text)
    return float(text) if pa.types.is_floating(kind) else text


def _json_tables(path: str, source: str, spec: TableSpec) -> Iterator[pa.Table]:
    with open(path, encoding="utf-8") as file:
        yield from _tables(json_rows(file, source, SchemaError), spec)


def _tables(rows: Iterator[Row], spec: TableSpec) -> Iterator[pa.Table]:
    block: list[Row] = []
    for row in rows:
        if missing := [name for name in spec.names if name not in row]:
            raise ValueError(f"it lacks the column(s) {', '.join(missing)}")
        block.append(row)
        if len(block) == _ROWS:
            yield spec.from_rows(block)
            block = []
    if block:
        yield spec.from_rows(block)
