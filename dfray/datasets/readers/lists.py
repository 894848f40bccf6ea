"""Files in which corpora list their videos; errors name the file and the line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

from dfray import storage
from dfray.documents import parse_json
from dfray.errors import ManifestError, StorageError


def read_text(uri: str, hint: str) -> str:
    """Return the UTF-8 text of a corpus's list.

    Args:
        hint: the source of the file, as a full sentence.

    Raises:
        ManifestError: the file is missing or is no text.
    """
    if not storage.is_remote(uri) and (reason := storage.why_not_regular(storage.absolute(uri))):
        raise ManifestError(f"{uri} {reason}.", hint)
    try:
        return storage.read_bytes(uri).decode("utf-8-sig")
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise ManifestError(f"{uri} is missing.", hint) from error
        raise
    except UnicodeDecodeError as error:
        raise ManifestError(f"{uri} is not UTF-8 text: {error}.", hint) from error


def read_json(uri: str, hint: str) -> dict[str, dict[str, Any]]:
    """Return a list that is a JSON object of objects.

    Raises:
        ManifestError: as `read_text`, or the file is no such JSON.
    """
    content = parse_json(read_text(uri, hint), uri, ManifestError, hint)
    if not isinstance(content, dict) or not all(isinstance(e, dict) for e in content.values()):
        raise ManifestError(f"{uri} holds no JSON object of objects.", hint)
    return content


def read_csv(
    uri: str,
    needed: tuple[str, ...],
    hint: str,
    on_fault: Callable[[int, str], None] | None = None,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, row) of a CSV.

    Args:
        on_fault: called with the line and the fault of a row that cannot be read, such as a field of more
            than 131,072 characters; the next row begins with the next line.

    Raises:
        ManifestError: as `read_text`, a column of `needed` is missing, or there is no `on_fault` for a row
            that cannot be read.
    """
    table = csv.DictReader(io.StringIO(read_text(uri, hint)), restval="")
    try:
        names = table.fieldnames or []
    except csv.Error as error:
        raise ManifestError(f"{uri} line 1: {error}.", hint) from error
    if lacking := [name for name in needed if name not in names]:
        raise ManifestError(
            f"{uri} lacks the column(s) {', '.join(lacking)}.",
            f"It has: {', '.join(names) or 'none'}.",
        )
    while True:
        try:
            row = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            if on_fault is None:
                raise ManifestError(f"{uri} line {table.line_num + 1}: {error}.", hint) from error
            on_fault(table.line_num + 1, f"cannot be read: {error}")
        else:
            yield table.line_num, row


def read_lines(uri: str, hint: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields between white space) of each line that is not empty.

    Raises:
        ManifestError: as `read_text`.
    """
    for number, line in enumerate(read_text(uri, hint).splitlines(), 1):
        if fields := line.split():
            yield number, fields


def number(row: dict[str, str], column: str, where: str, least: float = 0) -> float | None:
    """Return the number in a column of a CSV's row, or None if it is empty or the list has no such column.

    Args:
        where: file and line, for the message.

    Raises:
        ManifestError: the text is no number, or less than `least`.
    """
    text = row.get(column)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise ManifestError(f"{where}: {column} {text!r} is no number.") from None
    if not value >= least:
        raise ManifestError(f"{where}: {column} {text} is less than {least:g}.")
    return value
