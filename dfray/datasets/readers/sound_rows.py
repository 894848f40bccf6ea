"""Rows of a user's own table; an odd one is left out with its reason, and costs no other."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dfray.datasets.readers.lists import read_csv
from dfray.datasets.readers.rows import LeftOut

_STRIDE = re.compile(r"[1-9]\d{0,3}", re.ASCII)


def sound_rows(
    uri: str, dataset: str, attributes: Sequence[str] = ()
) -> tuple[list[tuple[int, dict[str, str]]], list[LeftOut]]:
    """Return the (line number, row) of a CSV of videos that can be read, and the others as left out.

    Args:
        attributes: more columns that the file must have.

    Raises:
        ManifestError: the file is missing, is no text, or lacks a column.
    """
    rows, odd = list[tuple[int, dict[str, str]]](), list[LeftOut]()

    def leave_out(line: int, fault: str) -> None:
        odd.append(LeftOut(dataset, f"line {line} {fault}"))

    for line, row in read_csv(uri, ("uri", "label", *attributes), "Check corpora.root.", leave_out):
        if _STRIDE.fullmatch(row.get("stride") or "1"):
            rows.append((line, row))
        else:
            leave_out(line, "has a stride that is no whole number from 1 to 9999")
    return rows, odd
