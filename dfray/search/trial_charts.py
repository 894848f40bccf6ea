"""Charts of a search's trials, as plotly figures; `space_charts` has those over its space."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from dfray.pages.style import LINES, styled
from dfray.search.importance import importances
from dfray.search.result import (
    METRICS,
    Finalist,
    SearchResult,
    State,
    Trial,
    short_names,
    value_text,
)

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

STATE_STYLES: dict[State, tuple[str, str]] = {
    "finished": ("#2389C9", "circle"),
    "stopped": ("#8A94A0", "diamond"),
    "failed": ("#CC79A7", "x"),
    "running": ("#009E73", "triangle-right"),
}
_BEST = "#E0661A"
_AUC = "val_auc"
_MIN_AXIS = 8
"""Trials on the axis of the chart of epochs at least, or a single bar would fill it."""
_MANY = 40
"""Trials above which their curves are pale."""


def curves_figure(result: SearchResult) -> go.Figure:
    """Draw the metric of each trial by epoch, the winner's trial thick; a cross ends a failed one."""
    figure = go.Figure()
    in_legend: set[str] = set()
    for trial in sorted(result.trials, key=lambda t: t.id == result.winning_trial):
        points = [
            (row["epoch"] + 1, row[result.metric]) for row in trial.curve if result.metric in row
        ]
        if not points:
            continue
        name, line = _line(trial, result)
        last = ["circle"] * (len(points) - 1) + [STATE_STYLES[trial.state][1]]
        figure.add_scatter(
            x=[epoch for epoch, _ in points],
            y=[value for _, value in points],
            mode="lines+markers",
            name=name,
            legendgroup=name,
            showlegend=name not in in_legend,
            line=line,
            opacity=1 if trial.id == result.winning_trial or len(result.trials) <= _MANY else 0.4,
            marker={"size": [3] * (len(points) - 1) + [8], "symbol": last},
            text=hover_text(trial, result),
            hovertemplate="%{text}<br>epoch %{x}: %{y:.4f}<extra></extra>",
        )
        in_legend.add(name)
    figure.update_xaxes(title="epoch", tickformat="d", dtick=max(1, result.epochs // 10))
    return styled(_by_metric(figure, result.metric), height=430)


def importance_figure(result: SearchResult, space: Mapping[str, BaseDistribution]) -> go.Figure:
    """Draw the parameters' shares of importance as bars, with the range as trials are left out."""
    names = short_names(list(space))
    shares = importances(result, space)[::-1]
    figure = go.Figure()
    figure.add_bar(
        x=[item.share for item in shares],
        y=[escape(names[item.parameter]) for item in shares],
        orientation="h",
        marker_color=LINES[-1],
        error_x={
            "array": [item.high - item.share for item in shares],
            "arrayminus": [item.share - item.low for item in shares],
            "color": _BEST,  # visible on the bar and beyond it
        },
        hovertemplate="%{y}: %{x:.0%}<extra></extra>",
    )
    figure.update_xaxes(title="share of the importance", range=[0, 1], tickformat=".0%")
    return styled(figure, height=max(320, 120 + 46 * len(shares)))


def finalists_figure(finalists: Sequence[Finalist], metric: str) -> go.Figure:
    """Draw each seed's value as a point, and the mean with one standard deviation as a bar."""
    figure = go.Figure()
    figure.add_scatter(
        x=[f.trial for f in finalists for run in f.runs if run.value is not None],
        y=[value for f in finalists for value in f.values],
        text=[f"seed {run.seed}" for f in finalists for run in f.runs if run.value is not None],
        mode="markers",
        name="a seed",
        marker={"size": 8, "symbol": "circle-open", "color": LINES[-1], "line_width": 2},
        hovertemplate="%{x}, %{text}: %{y:.4f}<extra></extra>",
    )
    figure.add_scatter(
        x=[finalist.trial for finalist in finalists],
        y=[finalist.mean for finalist in finalists],
        error_y={
            "array": [min(f.spread or 0, _room_above(f.mean, metric)) for f in finalists],
            "arrayminus": [f.spread or 0 for f in finalists],
            "thickness": 2,
            "width": 8,
        },
        mode="markers",
        name="mean, and one standard deviation",
        marker={"size": 12, "symbol": "diamond", "color": _BEST},
        hovertemplate="%{x}: mean %{y:.4f}<extra></extra>",
    )
    figure.update_xaxes(title="parameters of trial", type="category")
    return styled(_by_metric(figure, metric), height=360)


def epochs_figure(result: SearchResult) -> go.Figure:
    """Draw the epochs that each trial trained, and the line of a trial that is not stopped."""
    figure = go.Figure()
    for state, (colour, _) in STATE_STYLES.items():
        trials = [t for t in result.trials if t.state == state]
        if trials:
            figure.add_bar(
                x=[t.number for t in trials],
                y=[t.epochs for t in trials],
                name=f"{state} ({len(trials)})",
                marker={"color": colour, "pattern_shape": "" if state == "finished" else "/"},
                hovertemplate="trial %{x}: %{y} epochs<extra></extra>",
            )
    figure.add_hline(y=result.epochs, line={"dash": "dash", "width": 1.5, "color": "#6b7280"})
    figure.update_xaxes(title="trial", tickformat="d", dtick=max(1, len(result.trials) // 20))
    figure.update_xaxes(range=[-0.6, max(len(result.trials), _MIN_AXIS) - 0.4])
    figure.update_yaxes(title="epochs", range=[0, result.epochs * 1.08])
    figure.update_yaxes(tickformat="d", dtick=max(1, result.epochs // 8))
    return styled(figure, height=320)


def hover_text(trial: Trial, result: SearchResult) -> str:
    """Return a trial's parameters and value in a few lines of HTML, shown while the pointer rests on it."""
    names = short_names(list(trial.parameters))
    lines = [f"<b>trial {trial.number}</b>, {trial.state}"]
    lines += [f"{names[key]} {value_text(value)}" for key, value in trial.parameters.items()]
    if trial.value is not None:
        lines.append(f"{METRICS[result.metric]} {trial.value:.4f}")
    return "<br>".join(line if line.startswith("<b>") else escape(line) for line in lines)


def _by_metric(figure: go.Figure, metric: str) -> go.Figure:
    """Name the vertical axis by the metric, and end it at the highest value that there is."""
    if metric == _AUC:
        figure.update_yaxes(autorangeoptions={"clipmax": 1.0})
    figure.update_traces(cliponaxis=False, selector={"type": "scatter"})
    return figure.update_yaxes(title=METRICS[metric])


def _room_above(value: float | None, metric: str) -> float:
    """Return how far above a mean a metric can lie."""
    return max(0.0, 1 - value) if metric == _AUC and value is not None else math.inf


def _line(trial: Trial, result: SearchResult) -> tuple[str, dict[str, Any]]:
    """Return a trial's name in the legend and the style of its line."""
    if trial.id == result.winning_trial:
        return f"trial {trial.number}, whose parameters won", {"color": _BEST, "width": 3.5}
    dash = "solid" if trial.state == "finished" else "dot"
    return trial.state, {"color": STATE_STYLES[trial.state][0], "width": 1.4, "dash": dash}
