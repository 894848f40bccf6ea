"""Runs of a work_dir, two of them side by side, and what none needs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dfray.render.tables import console, new_table
from dfray.text import visible_line

if TYPE_CHECKING:
    from dfray.stages.runs import Comparison, StoredRun, Unneeded

Figure = list[float | None] | None


def show_runs(runs: Sequence[StoredRun]) -> None:
    """Print a row for each run."""
    if not runs:
        print("There is no run.")
        return
    table = new_table(
        "run", "state", "AUC [95%]", "MB", "differs from the one before", right=("MB",)
    )
    for run in runs:
        name = f"{run.name}{' (latest)' if run.is_latest else ''}"
        figure = _interval(run.figures.get("auc"))
        changes = "; ".join(run.changes)
        table.add_row(name, run.progress, figure, f"{run.size_bytes / 1e6:,.1f}", changes)
    console.print(table)


def show_comparison(comparison: Comparison) -> None:
    """Print the keys that differ, then the figures."""
    table = new_table("", *(run.name for run in comparison.runs))
    for name, *values in comparison.keys:
        table.add_row(name, *(json.dumps(value) for value in values))
    for name, *figures in comparison.figures:
        table.add_row(name, *map(_interval, figures))
    console.print(table)


def show_unneeded(unneeded: Sequence[Unneeded], *, removed: bool) -> None:
    """Print the folders, and their size together."""
    for item in unneeded:
        line = f"{item.size_bytes / 1e6:10,.1f} MB  {item.uri}  ({item.reason})"
        console.print(visible_line(line), highlight=False)
    total = sum(item.size_bytes for item in unneeded) / 1e6
    if not unneeded:
        print("Every folder is needed.")
    elif removed:
        print(f"Removed {total:,.1f} MB.")
    else:
        print(f"{total:,.1f} MB that no run needs; --yes removes them.")


def _interval(figure: Any) -> str:
    """Return `value [low, high]`; empty if it was not measured."""
    if not figure or figure[0] is None:
        return ""
    value, low, high = figure
    interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{value:.3f}{interval}"
