"""The console, and the tables and lists that all commands print with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

from dfray.notes import emit

_UNFOLDED = 10_000
"""Columns of a table in a file or a pipe: its rows stay lines, whatever they hold."""


class _Console(Console):
    """Console that emits its text, and folds a table on a terminal only, by the width of the reader."""

    def print(self, *objects: Any, **options: Any) -> None:
        width = self._width
        if not self.is_terminal and any(isinstance(item, Table) for item in objects):
            self._width = _UNFOLDED
        try:
            super().print(*objects, **options)
        finally:
            self._width = width
        emit(self.export_text(clear=True))


console = _Console(soft_wrap=True, record=True)
_LISTED = 20
"""Files that a list prints before it only counts them."""
_LABEL_WIDTH = 13


def new_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return an empty table without borders; the columns in `right` are right-aligned."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def print_lines(lines: Iterable[tuple[str, object]]) -> None:
    """Print (label, text) pairs, one a line; unlike a table, it never folds a text to be copied."""
    for label, text in lines:
        console.print(f"{label:<{_LABEL_WIDTH}} {text}", markup=False, highlight=False)


def print_files(title: str, files: list[str]) -> None:
    """Print a title and the first files below it, or nothing if there are none."""
    if not files:
        return
    console.print(f"[bold]{title}[/]")
    for file in files[:_LISTED]:
        console.print(f"  {file}", markup=False, highlight=False)
    if len(files) > _LISTED:
        console.print(f"  ... and {len(files) - _LISTED:,} more")
