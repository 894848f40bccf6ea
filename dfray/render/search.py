"""What `dfray search` ends with: the best trials, the winner, and where to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from dfray.render.tables import console, new_table

if TYPE_CHECKING:
    from dfray.search.result import Finalist, SearchResult, Trial

_LISTED = 10
"""Trials that the table holds; the page has all."""


def search(result: SearchResult, page: str, recipe: str) -> None:
    """The tables, the winner and the next command, on stdout.

    Args:
        page: the URI of the search's page.
        recipe: how the command line named it, overrides included.
    """
    from dfray.search.result import epochs_taken, ranked, state_counts

    console.rule("trials", align="left")
    _trials(result, ranked(result)[:_LISTED])
    of_all = result.epochs * len(result.trials)
    taken = epochs_taken(result)
    console.print(
        f"{state_counts(result.trials)}; {taken:,} epochs of the {of_all:,} that all trials would "
        f"take ({taken / of_all:.0%})."
    )
    for trial in result.trials:
        if trial.error:
            console.print(f"  trial {trial.number} failed: {escape(trial.error)}", highlight=False)
    if result.finalists:
        console.rule("finalists", align="left")
        _finalists(result)
    console.rule("winner", align="left")
    for name, what in _winner(result, page, recipe):
        console.print(f"{name:<13} {what}", markup=False, highlight=False)


def _trials(result: SearchResult, trials: list[Trial]) -> None:
    from dfray.search.result import METRICS

    table = _table(result, "trial", METRICS[result.metric], "epochs", "state")
    for trial in trials:
        value = _figure(trial.value)
        ends = (value, f"{trial.epochs}/{result.epochs}", trial.state)
        table.add_row(str(trial.number), *_values(result, trial), *ends)
    console.print(table)


def _finalists(result: SearchResult) -> None:
    table = _table(result, "of trial", "mean", "std. dev.", "seeds")
    numbers = {trial.id: trial.number for trial in result.trials}
    for finalist in result.finalists:
        ends = (_figure(finalist.mean), _figure(finalist.spread), str(len(finalist.runs)))
        table.add_row(str(numbers[finalist.trial]), *_values(result, finalist), *ends)
    console.print(table)


def _winner(result: SearchResult, page: str, recipe: str) -> list[tuple[str, str]]:
    from dfray.search.result import value_text

    parameters = [f"{key}={value_text(value)}" for key, value in result.winner.parameters.items()]
    lines = [
        ("parameters", " ".join(parameters)),
        ("run", f"{result.winner.id} (MLflow: {result.winner.run_id})"),
        ("page", page),
    ]
    if result.version:
        lines.append(("registered", f"version {result.version}, alias candidate"))
        lines.append(("next", f"dfray promote {recipe}"))
    return lines


def _table(result: SearchResult, first: str, *last: str) -> Table:
    from dfray.search.result import short_names

    names = short_names(list(result.winner.parameters))
    columns = (first, *names.values(), *last)
    return new_table(*columns, right=tuple(name for name in columns if name != "state"))


def _values(result: SearchResult, of: Trial | Finalist) -> list[str]:
    from dfray.search.result import value_text

    return [value_text(of.parameters[key]) for key in result.winner.parameters]


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
