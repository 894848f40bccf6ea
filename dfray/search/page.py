"""Page of a search: one self-contained HTML file, and its trials as CSV.

Like the evaluation's report it opens from disk, loads nothing, and escapes every string from outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import yaml

from dfray import storage
from dfray.pages.page import assets, plot, template_environment
from dfray.search import space_charts, trial_charts
from dfray.search.importance import reason_without
from dfray.search.result import (
    METRICS,
    SearchResult,
    epochs_taken,
    ranked,
    short_names,
    state_counts,
    trials_with_value,
    value_text,
)
from dfray.text import to_csv as csv_text

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from optuna.distributions import BaseDistribution

    from dfray.tracking.run import Run

Space = Mapping[str, "BaseDistribution"]


_STOPPED = "A trial stopped early enters with the best it had reached."
MAX_BEST = 25
"""Rows of the table of trials; the rest is folded."""


class Chart(NamedTuple):
    """One chart of the page."""

    title: str
    caption: str
    figure: go.Figure


def publish(run: Run, result: SearchResult, space: Space) -> str:
    """Write search.html and trials.csv into the search's folder, and log both and every chart.

    Args:
        run: the search's MLflow run. The charts in it are plotly's JSON (`plotly.io.from_json`).
        space: recipe key -> the distribution that it was drawn from.

    Returns:
        The URI of the page.

    Raises:
        StorageError: the folder cannot be written.
        RegistryError: MLflow does not answer.
    """
    html, table = to_html(result, space, run.experiment_id()), to_csv(result)
    for name, text in (("search.html", html), ("trials.csv", table)):
        storage.write_bytes(text.encode(), storage.join(result.folder, name))
    charts = search_charts(result, space)
    plots = {f"plots/{name}.json": chart.figure.to_json() for name, chart in charts.items()}
    run.log_texts({"search.html": html, "trials.csv": table} | plots)
    return page_of(result)


def page_of(result: SearchResult) -> str:
    """Return the URI of the search's page."""
    return storage.join(result.folder, "search.html")


def to_csv(result: SearchResult) -> str:
    """Return a line for each training, the finalists' after the trials'; empty where there is no value."""
    keys = _keys(result)
    ends = ["seed", result.metric, "epochs", "run_id", "error"]
    rows: list[list[object]] = [["id", "kind", "number", "state", *keys, *ends]]
    for t in [*result.trials, *(run for finalist in result.finalists for run in finalist.runs)]:
        parameters = [t.parameters.get(key) for key in keys]
        figures = [t.seed, t.value, t.epochs, t.run_id, t.error]
        rows.append([t.id, t.kind, t.number, t.state, *parameters, *figures])
    return csv_text(rows)


def to_html(result: SearchResult, space: Space, experiment_id: str | None = None) -> str:
    """Return the page.

    Args:
        space: as in `publish`.
        experiment_id: of MLflow, for links to the trials' runs.
    """
    keys = _keys(result)
    winner = {key: _plain(value) for key, value in result.winner.parameters.items()}
    template = template_environment("dfray.search").get_template("search.html.jinja")
    return template.render(
        result=result,
        metric=METRICS[result.metric],
        keys=keys,
        names=short_names(keys),
        value_text=value_text,
        best=ranked(result)[:MAX_BEST],
        folded=ranked(result)[MAX_BEST:],
        failed=[trial for trial in result.trials if trial.state == "failed"],
        counts=state_counts(result.trials),
        epochs_taken=epochs_taken(result),
        epochs_of_all=result.epochs * len(result.trials),
        plots={name: plot(*chart) for name, chart in search_charts(result, space).items()},
        no_importance=reason_without(result, space),
        runs_url=_runs_url(result.tracking_uri, experiment_id),
        by_videos=_interval_by_videos(result),
        winning=next(t for t in result.trials if t.id == result.winning_trial),
        winner=yaml.safe_dump(winner, sort_keys=False),
        **assets(),
    )


def _interval_by_videos(result: SearchResult) -> tuple[float, float] | None:
    """Return the interval of the winner's AUC by the number of videos; None if it is no single AUC."""
    from dfray.evaluation.intervals import Calls, auc_interval

    videos, value = result.validation, result.winner.value
    if result.finalists and result.finalists[0].mean is not None:
        value = result.finalists[0].mean
    is_auc = result.metric == "val_auc" and videos is not None and videos.n_datasets == 1
    if not is_auc or videos is None or value is None or not (videos.n_real and videos.n_fake):
        return None
    rates_without_effect = 0.5  # on the interval of an AUC
    calls = Calls(videos.n_real, videos.n_fake, rates_without_effect, rates_without_effect)
    return auc_interval(value, calls, 0.95)


def search_charts(result: SearchResult, space: Space) -> dict[str, Chart]:
    """Return name -> chart, of those for which the trials have data."""
    curves = "A line for each trial; where it ends, the symbol says how."
    epochs = "The dashed line is what a trial takes that nothing stops."
    charts = {
        "curves": Chart("The metric by epoch", curves, trial_charts.curves_figure(result)),
        "epochs": Chart("Epochs taken", epochs, trial_charts.epochs_figure(result)),
    }
    if result.finalists:
        charts["finalists"] = Chart(
            "Finalists with fresh seeds",
            "The best trials' parameters, trained again.",
            trial_charts.finalists_figure(result.finalists, result.metric),
        )
    return charts | _charts_over_space(space, result)


def _charts_over_space(space: Space, result: SearchResult) -> dict[str, Chart]:
    charts: dict[str, Chart] = {}
    trials, axes = trials_with_value(result), space_charts.map_axes(space)
    if trials:
        charts["coordinates"] = Chart(
            "Parallel coordinates",
            f"A line for each trial; orange is best, blue is worst. {_STOPPED}",
            space_charts.coordinates_figure(result, space),
        )
    if axes:
        short = short_names(list(space))
        charts["map"] = Chart(
            f"The {METRICS[result.metric]} over {short[axes[0]]} and {short[axes[1]]}",
            f"Trials as points with their numbers; {_cells(len(trials))}",
            space_charts.map_figure(result, space, *axes),
        )
    if reason_without(result, space) is None:
        charts["importance"] = Chart(
            "Importance of the parameters",
            "PED-ANOVA: how differently a parameter is spread among the best trials than among all. "
            "The whiskers: its lowest and highest as trials are left out in turn.",
            trial_charts.importance_figure(result, space),
        )
    return charts


def _cells(trials: int) -> str:
    if trials < space_charts.MIN_MAP:
        return "they are too few to colour what lies between them."
    near = "the mean of the trials near it, weighted by nearness, and blank where none is near"
    return f"a cell's colour is {near}. {_STOPPED}"


def _keys(result: SearchResult) -> list[str]:
    """Return every parameter's recipe key, in the order of the trials'."""
    return list(dict.fromkeys(key for trial in result.trials for key in trial.parameters))


def _plain(value: object) -> object:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _runs_url(tracking_uri: str, experiment_id: str | None) -> str | None:
    """Return the URL that an MLflow run's id is appended to; None for a store without a web page."""
    if experiment_id is None or not tracking_uri.startswith(("http://", "https://")):
        return None
    return f"{tracking_uri.rstrip('/')}/#/experiments/{experiment_id}/runs/"
