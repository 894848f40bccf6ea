"""The `dfray` app, and the panels that group its commands in `dfray --help`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, ParamSpec, TypeVar

import typer

P = ParamSpec("P")
T = TypeVar("T")

PIPELINE = "Pipeline stages"
SELECTION = "Search and promotion"
CLUSTER = "Clusters"
INSPECTION = "Inspection and setup"

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def filled_help(function: Callable[P, T]) -> Callable[P, T]:
    """Take the line ends out of a docstring's paragraphs, which Typer keeps below the first one."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    function.__doc__ = "\n\n".join(" ".join(text.split()) for text in paragraphs)
    return function


def _print_version(requested: bool) -> None:
    if requested:
        from dfray import __version__

        print(f"dfray {__version__}")
        raise typer.Exit


@app.callback()
@filled_help
def dfray(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version of dfray and exit.",
        ),
    ] = False,
) -> None:
    """Distributed training of deepfake detectors on Ray.

    Stages: videos -> manifest -> faces -> training -> evaluation -> registry.

    Start with `dfray run demo`; then write a recipe for your own videos: `dfray recipes new mine.yaml
    --videos DIR`.
    """
