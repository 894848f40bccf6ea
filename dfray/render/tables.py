"""The console, and the tables and listings that every command prints with."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

console = Console(soft_wrap=True)
_LISTED = 20
"""Files that a listing names before it only counts."""


def new_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def list_files(what: str, lines: list[str]) -> None:
    if not lines:
        return
    console.print(f"[bold]{what}[/]")
    for line in lines[:_LISTED]:
        console.print(f"  {line}", markup=False, highlight=False)
    if len(lines) > _LISTED:
        console.print(f"  ... and {len(lines) - _LISTED:,} more")
