"""Result of a search: the best trials, the finalists, the winner and the next command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from dfray.render.tables import console, new_table, print_lines
from dfray.text import visible_line

if TYPE_CHECKING:
    from dfray.search.result import Finalist, SearchResult, Trial

_LISTED = 10
"""Trials in the table; the page has all."""


def show_search(result: SearchResult, page: str, recipe: str) -> None:
    """Print the tables of trials and finalists, the winner and the next command.

    Args:
        page: URI of the search's page.
        recipe: the recipe as the command line named it, with its overrides.
    """
    console.rule("trials", align="left")
    _show_trials(result)
    if result.finalists:
        console.rule("finalists", align="left")
        _show_finalists(result)
    console.rule("winner", align="left")
    print_lines(_winner(result, page, recipe))


def _show_trials(result: SearchResult) -> None:
    from dfray.search.result import METRICS, epochs_taken, ranked, state_counts

    table = _table(result, "trial", METRICS[result.metric], "epochs", "state")
    for trial in ranked(result)[:_LISTED]:
        epochs = f"{trial.epochs}/{result.epochs}"
        cells = (*_parameters(result, trial), _number(trial.value), epochs, trial.state)
        table.add_row(str(trial.number), *cells)
    console.print(table)
    planned, trained = result.epochs * len(result.trials), epochs_taken(result)
    console.print(
        f"{state_counts(result.trials)}; {trained:,} epochs of the {planned:,} that all trials would "
        f"take ({trained / planned:.0%})."
    )
    for trial in result.trials:
        if trial.error:
            console.print(
                f"  trial {trial.number} failed: {visible_line(trial.error)}", highlight=False
            )


def _show_finalists(result: SearchResult) -> None:
    table = _table(result, "of trial", "mean", "std. dev.", "seeds")
    numbers = {trial.id: trial.number for trial in result.trials}
    for finalist in result.finalists:
        metric = (_number(finalist.mean), _number(finalist.spread), str(len(finalist.runs)))
        table.add_row(str(numbers[finalist.trial]), *_parameters(result, finalist), *metric)
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


def _parameters(result: SearchResult, trial: Trial | Finalist) -> list[str]:
    from dfray.search.result import value_text

    return [value_text(trial.parameters[key]) for key in result.winner.parameters]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
