"""The console, and the tables and lists that all commands print with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text, TextType

from dfray.notes import emit
from dfray.text import visible, visible_line

_UNFOLDED = 10_000
"""Columns of a table in a file or a pipe: its rows stay lines, whatever they hold."""


class PlainConsole(Console):
    """Console that prints strings as they are: markup is made of `styled` texts.

    It emits its text, and folds a table on a terminal only, by the width of the reader.
    """

    def rule(self, title: TextType = "", **options: Any) -> None:
        super().rule(_as_text(title), **options)

    def print(self, *objects: Any, **options: Any) -> None:
        objects = tuple(visible(item) if isinstance(item, str) else item for item in objects)
        width = self._width
        if not self.is_terminal and any(isinstance(item, Table) for item in objects):
            self._width = _UNFOLDED
        try:
            super().print(*objects, **options)
        finally:
            self._width = width
        emit(self.export_text(clear=True))


class PlainTable(Table):
    """Table whose cells and headings are strings as they are, or `styled` texts."""

    def add_column(self, header: RenderableType = "", *args: Any, **options: Any) -> None:
        super().add_column(_as_text(header), *args, **options)

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        super().add_row(*map(_as_text, cells), **options)


def styled(markup: str) -> Text:
    """Return a text of ours in Rich's markup; names go through `rich.markup.escape` first."""
    return Text.from_markup(markup)


def _as_text(cell: RenderableType | None) -> Any:
    return Text(visible_line(cell)) if isinstance(cell, str) else cell


console = PlainConsole(soft_wrap=True, record=True, markup=False, emoji=False)
_LISTED = 20
"""Files that a list prints before it only counts them."""
_LABEL_WIDTH = 13


def new_table(*columns: str, right: tuple[str, ...] = ()) -> PlainTable:
    """Return an empty table without borders; the columns in `right` are right-aligned."""
    table = PlainTable(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def print_lines(lines: Iterable[tuple[str, object]]) -> None:
    """Print (label, text) pairs, one a line; unlike a table, it never folds a text to be copied."""
    for label, text in lines:
        console.print(f"{label:<{_LABEL_WIDTH}} {visible_line(str(text))}", highlight=False)


def print_files(title: str, files: list[str]) -> None:
    """Print a title and the first files below it, or nothing if there are none."""
    if not files:
        return
    console.print(Text(title, style="bold"))
    for file in files[:_LISTED]:
        console.print(f"  {visible_line(file)}", highlight=False)
    if len(files) > _LISTED:
        console.print(f"  ... and {len(files) - _LISTED:,} more")
