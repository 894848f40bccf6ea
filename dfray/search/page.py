"""The page of a search: one self-contained HTML file, and its trials as CSV for whoever computes on.

Like the evaluation's report it opens from disk, loads nothing, and escapes every string from outside.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import yaml

from dfray import storage
from dfray.pages.page import assets, plot, template_environment
from dfray.search import result as words
from dfray.search import space_charts as landscape
from dfray.search import trial_charts as plots
from dfray.search.importance import why_not
from dfray.search.result import SearchResult

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from optuna.distributions import BaseDistribution

    from dfray.tracking.run import Run

Space = Mapping[str, "BaseDistribution"]


Chart = tuple[str, str, "go.Figure"]
"""title, caption and figure"""
_STOPPED = "A trial stopped early enters with the best it had reached."
MAX_BEST = 25
"""Rows of the table of trials; the others are folded."""


def publish(run: Run, result: SearchResult, space: Space) -> str:
    """Write search.html and trials.csv into the search's folder, and keep both and every plot with its run.

    Args:
        run: the search's own MLflow run. The plots in it are plotly's JSON (`plotly.io.from_json`).
        space: recipe key -> what it was drawn from.

    Returns:
        The URI of the page.

    Raises:
        StorageError: the folder cannot be written.
        RegistryError: MLflow does not answer.
    """
    html, table = to_html(result, space, run.experiment_id()), to_csv(result)
    for name, text in (("search.html", html), ("trials.csv", table)):
        storage.write_bytes(text.encode(), storage.join(result.folder, name))
        run.log_text(text, name)
    for name, (_, _, figure) in figures_of(result, space).items():
        run.log_text(figure.to_json(), f"plots/{name}.json")
    return page_of(result)


def page_of(result: SearchResult) -> str:
    """The URI of its page."""
    return storage.join(result.folder, "search.html")


def to_csv(result: SearchResult) -> str:
    """A line for each training, the finalists' after the trials'; empty where there is no figure."""
    keys = _keys(result)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["id", "kind", "number", "state", *keys, "seed", result.metric, "epochs", "run_id", "error"]
    )
    for t in [*result.trials, *(run for finalist in result.finalists for run in finalist.runs)]:
        parameters = [t.parameters.get(key) for key in keys]
        ends = [t.seed, t.value, t.epochs, t.run_id, t.error]
        writer.writerow([t.id, t.kind, t.number, t.state, *parameters, *ends])
    return buffer.getvalue()


def to_html(result: SearchResult, space: Space, experiment_id: str | None = None) -> str:
    keys = _keys(result)
    winner = {key: _plain(value) for key, value in result.winner.parameters.items()}
    template = template_environment("dfray.search").get_template("search.html.jinja")
    return template.render(
        result=result,
        metric=words.METRICS[result.metric],
        keys=keys,
        names=words.short_names(keys),
        shown=words.shown,
        best=words.ranked(result)[:MAX_BEST],
        others=words.ranked(result)[MAX_BEST:],
        failed=[trial for trial in result.trials if trial.state == "failed"],
        counts=words.state_counts(result.trials),
        epochs_taken=words.epochs_taken(result),
        epochs_of_all=result.epochs * len(result.trials),
        plots={name: plot(*told) for name, told in figures_of(result, space).items()},
        no_importance=why_not(result, space),
        runs_url=_runs_url(result.tracking_uri, experiment_id),
        winning=next(t for t in result.trials if t.id == result.winning_trial),
        winner=yaml.safe_dump(winner, sort_keys=False),
        **assets(),
    )


def figures_of(result: SearchResult, space: Space) -> dict[str, Chart]:
    """name -> title, caption and figure, of those that the trials give anything to draw for."""
    curves = "A line for each trial; where it ends, the symbol says how."
    epochs = "The dashed line is what a trial takes that nothing stops."
    found = {
        "curves": ("The metric by epoch", curves, plots.curves_figure(result)),
        "epochs": ("Epochs taken", epochs, plots.epochs_figure(result)),
    }
    if result.finalists:
        found["finalists"] = (
            "Finalists with fresh seeds",
            "The best trials' parameters, trained again.",
            plots.finalists_figure(result.finalists, result.metric),
        )
    return found | _figures_over(space, result)


def _figures_over(space: Space, result: SearchResult) -> dict[str, Chart]:
    found: dict[str, Chart] = {}
    measured, axes = words.measured(result), landscape.map_axes(space)
    if measured:
        found["coordinates"] = (
            "Parallel coordinates",
            f"A line for each trial; orange is best, blue is worst. {_STOPPED}",
            landscape.coordinates_figure(result, space),
        )
    if axes:
        short = words.short_names(list(space))
        found["map"] = (
            f"The {words.METRICS[result.metric]} over {short[axes[0]]} and {short[axes[1]]}",
            f"Trials as points with their numbers; {_cells(len(measured))}",
            landscape.map_figure(result, space, *axes),
        )
    if why_not(result, space) is None:
        found["importance"] = (
            "Importance of the parameters",
            "PED-ANOVA: how differently a parameter is spread among the best trials than among all. "
            "The whiskers: its lowest and highest as trials are left out in turn.",
            plots.importance_figure(result, space),
        )
    return found


def _cells(trials: int) -> str:
    if trials < landscape.MIN_MAP:
        return "they are too few to colour what lies between them."
    near = "the mean of the trials near it, weighted by nearness, and blank where none is near"
    return f"a cell's colour is {near}. {_STOPPED}"


def _keys(result: SearchResult) -> list[str]:
    """Every parameter's recipe key, in the order that the trials have them."""
    return list(dict.fromkeys(key for trial in result.trials for key in trial.parameters))


def _plain(value: object) -> object:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _runs_url(tracking_uri: str, experiment_id: str | None) -> str | None:
    """What an MLflow run's id is appended to; none for a store without a web page."""
    if experiment_id is None or not tracking_uri.startswith(("http://", "https://")):
        return None
    return f"{tracking_uri.rstrip('/')}/#/experiments/{experiment_id}/runs/"
