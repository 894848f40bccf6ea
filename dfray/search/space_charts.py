"""Charts over a search's space: parallel coordinates, and a map of two parameters.

Not Optuna's: its labels cut a recipe key before the word that makes it unique, its darkest and
lightest colours vanish on a dark or a white page, and its contour draws a surface where no trial was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from dfray.pages.style import styled
from dfray.search.result import (
    METRICS,
    SearchResult,
    Value,
    better,
    short_names,
    trials_with_value,
    value_of,
)
from dfray.search.trial_charts import STATE_STYLES, hover_text

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_SCALE = ("#2389C9", "#A79A8E", "#E0661A")
"""From the worst to the best: blue to orange, of like lightness, so that no end fades into the page."""
_CELLS = 48
_REACH = 0.1
"""Of a trial on the map, as a share of an axis: one standard deviation of its weight."""
_NEAR = math.exp(-2)
"""Sum of weights below which a cell is blank: of a single trial two standard deviations away."""
_EDGE = 0.05
"""Of an axis, beyond the range that is searched, for points on its ends."""
MAX_NUMBERED = 40
"""Trials above which the map does not number its points."""
MIN_MAP = 4
"""Trials with a value below which the map shows points alone."""


@dataclass(frozen=True)
class Axis:
    """Scale of one axis from 0 to 1, and its ticks."""

    name: str
    low: float
    high: float
    log: bool = False
    choices: tuple[Value, ...] = ()

    @classmethod
    def of(cls, name: str, dist: Any) -> Axis:
        """Return the axis of the whole range that a parameter is drawn from."""
        if hasattr(dist, "choices"):
            return cls(name, 0, len(dist.choices) - 1, choices=tuple(dist.choices))
        return cls(name, dist.low, dist.high, dist.log)

    def height(self, value: Value) -> float:
        """Return the position of a value, 0 to 1."""
        if self.choices:
            value = self.choices.index(value)
        low, at, high = (self._scaled(float(x)) for x in (self.low, value, self.high))
        return 0.5 if low == high else (at - low) / (high - low)

    def value(self, height: float) -> float:
        """Return the number at a height; the inverse of `height` for axes without choices."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        at = low + height * (high - low)
        return 10**at if self.log else at

    def ticks(self) -> list[tuple[float, str]]:
        """Return (height, text) of each tick; four at most but for choices."""
        if self.choices:
            return [(self.height(choice), str(choice)) for choice in self.choices]
        heights = [0.0, 1 / 3, 2 / 3, 1.0] if self.low < self.high else [0.5]
        return [(height, f"{self.value(height):.3g}") for height in heights]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


def coordinates_figure(result: SearchResult, space: Mapping[str, BaseDistribution]) -> go.Figure:
    """Draw a line for each trial through its parameters' axes and the metric's, the best last."""
    trials = sorted(
        trials_with_value(result), key=lambda t: better(result.mode, value_of(t)), reverse=True
    )
    names = short_names(list(space))
    axes = [Axis.of(names[key], dist) for key, dist in space.items()]
    values = [value_of(t) for t in trials]
    metric = Axis(METRICS[result.metric], min(values), max(values))
    colours = sample_colorscale(_scale(result), [metric.height(value) for value in values])
    figure = go.Figure()
    for place, trial in enumerate(trials):
        wins = trial.id == result.winning_trial
        figure.add_scatter(
            x=list(range(len(axes) + 1)),
            y=[
                *(
                    axis.height(trial.parameters[key])
                    for axis, key in zip(axes, space, strict=True)
                ),
                metric.height(values[place]),
            ],
            mode="lines",
            line={"color": colours[place], "width": 4 if wins else 1.6},
            opacity=1 if wins else 0.65,
            text=hover_text(trial, result),
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
    return _with_axes(styled(figure, height=400), [*axes, metric])


def map_axes(space: Mapping[str, BaseDistribution]) -> tuple[str, str] | None:
    """Return the map's two parameters: the triplet's weight and margin, or else the first two numbers."""
    triplet = ("objective.triplet.weight", "objective.triplet.margin")
    numbers = [name for name, dist in space.items() if not hasattr(dist, "choices")]
    if set(triplet) <= set(numbers):
        return triplet
    return (numbers[0], numbers[1]) if len(numbers) > 1 else None


def map_figure(
    result: SearchResult, space: Mapping[str, BaseDistribution], across: str, up: str
) -> go.Figure:
    """Draw the metric over two numeric parameters: trials as points, a smoothed mean as colour.

    A cell has the mean of the trials near it, weighted by nearness; it is blank where none is near.
    """
    names = short_names(list(space))
    axes = [Axis.of(names[name], space[name]) for name in (across, up)]
    figure = go.Figure()
    if len(trials_with_value(result)) >= MIN_MAP:
        _add_heat(figure, result, axes, (across, up))
    _add_points(figure, result, across, up)
    for update, axis in zip((figure.update_xaxes, figure.update_yaxes), axes, strict=True):
        ends = [axis.value(-_EDGE), axis.value(1 + _EDGE)]
        update(
            title=escape(axis.name),
            type="log" if axis.log else "linear",
            range=[math.log10(end) for end in ends] if axis.log else ends,
        )
    return styled(figure, height=460)


def _add_points(figure: go.Figure, result: SearchResult, across: str, up: str) -> None:
    """Draw points that are light with a dark rim, visible on any colour and any page."""
    for state, (_, symbol) in STATE_STYLES.items():
        trials = [t for t in result.trials if t.state == state]
        if trials:
            figure.add_scatter(
                x=[t.parameters[across] for t in trials],
                y=[t.parameters[up] for t in trials],
                mode="markers+text" if len(result.trials) <= MAX_NUMBERED else "markers",
                name=state,
                text=[str(t.number) for t in trials],
                textposition="top center",
                marker={
                    "size": 10,
                    "symbol": symbol,
                    "color": "#F9FAFB",
                    "line": {"color": "#111827", "width": 1.8},
                },
                customdata=[hover_text(t, result) for t in trials],
                hovertemplate="%{customdata}<extra></extra>",
            )


def _add_heat(
    figure: go.Figure, result: SearchResult, axes: Sequence[Axis], keys: Sequence[str]
) -> None:
    trials = trials_with_value(result)
    centres = (np.arange(_CELLS) + 0.5) / _CELLS
    places = [
        np.asarray([axis.height(t.parameters[key]) for t in trials])
        for axis, key in zip(axes, keys, strict=True)
    ]
    across, up = (
        np.exp(-((centres[:, None] - place) ** 2) / (2 * _REACH**2)) for place in places
    )  # (_CELLS, trials) each: the weight of a trial is their product
    values = np.asarray([value_of(t) for t in trials])
    total = np.einsum("yt,xt->yx", up, across)
    mean = np.einsum("yt,xt,t->yx", up, across, values) / total
    figure.add_heatmap(
        x=[axes[0].value(centre) for centre in centres],
        y=[axes[1].value(centre) for centre in centres],
        z=np.where(total < _NEAR, np.nan, mean),
        zmin=values.min(),
        zmax=values.max(),
        colorscale=_scale(result),
        opacity=0.6,
        colorbar={"title": {"text": METRICS[result.metric], "side": "right"}, "thickness": 14},
        hovertemplate="about %{z:.4f}<extra></extra>",
    )


def _scale(result: SearchResult) -> list[str]:
    """Return the colours from the metric's lowest to its highest value, the best one orange."""
    return list(_SCALE if result.mode == "max" else reversed(_SCALE))


def _with_axes(figure: go.Figure, axes: Sequence[Axis]) -> go.Figure:
    """Draw upright axes with their ticks and names, in place of plotly's two."""
    for place, axis in enumerate(axes):
        figure.add_shape(
            type="line", x0=place, x1=place, y0=0, y1=1, line_color="#9ca3af", layer="below"
        )
        for height, text in axis.ticks():
            figure.add_annotation(
                x=place,
                y=height,
                text=escape(text),
                showarrow=False,
                xanchor="left",
                xshift=4,
                font_size=11,
            )
    figure.update_xaxes(
        tickvals=list(range(len(axes))),
        ticktext=[escape(axis.name) for axis in axes],
        range=[-0.1, len(axes) - 0.85],
        side="top",
        showgrid=False,
        showline=False,
        ticks="",
    )
    return figure.update_yaxes(visible=False, range=[-0.05, 1.05])
