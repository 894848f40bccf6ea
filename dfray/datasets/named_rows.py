"""Rows of tables that name files: CSV, Parquet or JSON lines, read a few thousand rows at a time."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator

from dfray import storage
from dfray.datasets.readers.csv_file import relative_to_list
from dfray.documents import json_rows
from dfray.errors import UserError, first_line
from dfray.tables import Row

NAME_COLUMNS = ("uri", "video", "input")
"""Columns that may hold the names: of a manifest, of the served model, of a table of scores."""
SUFFIXES = (".csv", ".parquet", ".jsonl")
_READ_ROWS = 4096
_COLUMN_HINT = "Name the files in a column `uri`, absolute or relative to the list."


def named_rows(uri: str, wanted: Collection[str]) -> Iterator[Row]:
    """Yield the rows of a table: their `name`, which may be of any type or None, and the wanted columns.

    Args:
        uri: local or s3://; the suffix says the format.
        wanted: columns to read beside the name; those that the table lacks are not in the rows.

    Raises:
        UserError: it has another suffix or no column of names, or is not of the format.
        StorageError: it cannot be read.
    """
    read = next((read for end, read in _READERS.items() if uri.lower().endswith(end)), None)
    if read is None:
        raise UserError(f"{uri} ends with none of {', '.join(SUFFIXES)}.", _COLUMN_HINT)
    with storage.local_copy(uri) as path:
        yield from read(path, uri, wanted)


def place_of(uri: str, name: str) -> str:
    """Return the full path or URI of a name in the table `uri`."""
    return storage.absolute(relative_to_list(uri, name))


def place_in(row: Row, uri: str, number: int) -> str:
    """Return the full path or URI of the video that a row of the table `uri` names.

    Raises:
        UserError: it names none.
    """
    name = row["name"]
    if not isinstance(name, str) or not name.strip():
        raise UserError(
            f"{uri}, row {number}: {name!r} names no video.", "Give each row a path or URI."
        )
    return place_of(uri, name)


def _csv_rows(path: str, uri: str, wanted: Collection[str]) -> Iterator[Row]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            yield from _picked(reader, reader.fieldnames or (), uri, wanted)
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{uri} is no CSV file: {first_line(error)}.", _COLUMN_HINT) from error


def _parquet_rows(path: str, uri: str, wanted: Collection[str]) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names = file.schema_arrow.names
            read = [name for name in names if name in (_name_column(names, uri), *wanted)]
            batches = file.iter_batches(_READ_ROWS, columns=read)
            rows = itertools.chain.from_iterable(batch.to_pylist() for batch in batches)
            yield from _picked(rows, names, uri, wanted)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{uri} is no Parquet file: {first_line(error)}.", _COLUMN_HINT) from error


def _json_rows(path: str, uri: str, wanted: Collection[str]) -> Iterator[Row]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            for row in json_rows(file, uri, hint=_COLUMN_HINT):
                yield from _picked([row], row, uri, wanted)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{uri} is no file of JSON lines: {first_line(error)}.", _COLUMN_HINT
        ) from error


_READERS: dict[str, Callable[[str, str, Collection[str]], Iterator[Row]]] = {
    ".csv": _csv_rows,
    ".parquet": _parquet_rows,
    ".jsonl": _json_rows,
}


def _picked(
    rows: Iterable[Row], columns: Iterable[str], uri: str, wanted: Collection[str]
) -> Iterator[Row]:
    """Yield name and wanted columns of the rows of a table with these columns."""
    columns = list(columns)
    name, kept = _name_column(columns, uri), [column for column in wanted if column in columns]
    for row in rows:
        yield {column: row.get(column) for column in kept} | {"name": row.get(name)}


def _name_column(columns: Iterable[str], uri: str) -> str:
    columns = list(columns)
    for name in NAME_COLUMNS:
        if name in columns:
            return name
    raise UserError(
        f"{uri} has no column {', '.join(NAME_COLUMNS[:-1])} or {NAME_COLUMNS[-1]}; it has "
        f"{', '.join(columns) or 'none'}.",
        _COLUMN_HINT,
    )
