"""Parts that all HTML pages share: template engine, style sheet, scripts, charts as plain data."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
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


@cache
def template_environment(package: str) -> jinja2.Environment:
    """Return the Jinja environment for the templates of `package`, which may import those of this room.

    It is one for a package, as it keeps the templates that it has compiled.
    """
    shared = jinja2.PackageLoader("dfray.pages")
    env = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package), shared]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["base64"] = lambda data: base64.b64encode(data).decode()
    return env


def stylesheet() -> Markup:
    """Return the style sheet of all pages, so inserted without escaping."""
    from importlib import resources

    folder = resources.files("dfray.pages") / "templates"
    return Markup((folder / "page.css").read_text())


def assets() -> dict[str, Markup]:
    """Return the style sheet and the scripts, ours and plotly's, so inserted without escaping."""
    from importlib import resources

    from plotly.offline import get_plotlyjs

    folder = resources.files("dfray.pages") / "templates"
    return {
        "css": stylesheet(),
        "script": Markup((folder / "page.js").read_text()),
        "plotly": Markup(get_plotlyjs()),
    }
