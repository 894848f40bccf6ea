"""Style that all charts share: colours, axes, a mark.

Colours are Okabe and Ito's, which people with any colour vision can tell apart, the darker two raised
a little so that they hold on black; classes differ by symbol or dash too. Text and grid take the
page's colours through CSS, for light, dark and paper.
"""

from __future__ import annotations

import plotly.graph_objects as go

LINES = ("#E0661A", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#2389C9")
DASHES = ("solid", "dash", "dot", "dashdot")


def add_mark(figure: go.Figure, x: float, text: str) -> None:
    """A dashed vertical line at `x`, named."""
    figure.add_vline(
        x=x,
        line={"dash": "dash", "width": 1.5, "color": "#6b7280"},
        annotation={"text": text, "yanchor": "top"},
        annotation_position="top right",
    )


def styled(figure: go.Figure, height: int) -> go.Figure:
    """`figure` with the look that all share; it is changed in place."""
    axis = {
        "gridcolor": "#e5e7eb",
        "linecolor": "#9ca3af",
        "tickcolor": "#9ca3af",
        "showline": True,
        "ticks": "outside",
        "zeroline": False,
        "automargin": True,
        "title_font_size": 13,
    }
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 62, "r": 16, "t": 44, "b": 52},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12.5},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hovermode="closest",
        dragmode="zoom",
    )
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure
