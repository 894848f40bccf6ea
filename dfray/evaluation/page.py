"""What the pages share: the template engine, the style, the scripts, and charts as plain data."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Plot:
    title: str
    caption: str
    json: Markup


def plot(title: str, caption: str, figure: go.Figure) -> Plot:
    # plotly writes <, > and / as unicode escapes, so no string can end the script element.
    return Plot(title, caption, Markup(figure.to_json()))


def environment(package: str = "dfray.evaluation") -> jinja2.Environment:
    """The engine for the templates of `package`, which may use those that lie here."""
    here = jinja2.PackageLoader("dfray.evaluation")
    found = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package), here]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["base64"] = lambda data: base64.b64encode(data).decode()
    return found


def assets() -> dict[str, Markup]:
    """The style sheet and the scripts, which are ours and plotly's and so go in unescaped."""
    from importlib import resources

    from plotly.offline import get_plotlyjs

    folder = resources.files("dfray.evaluation") / "templates"
    return {
        "css": Markup((folder / "report.css").read_text()),
        "script": Markup((folder / "report.js").read_text()),
        "plotly": Markup(get_plotlyjs()),
    }
