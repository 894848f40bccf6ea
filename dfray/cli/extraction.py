"""Face extraction."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import PIPELINE, app
from dfray.cli.command import RecipeCall, recipe_command


@recipe_command(app, panel=PIPELINE)
def extract(
    call: RecipeCall,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="First compare all stored faces with their SHA-256; name the videos of damaged shards, and "
            "extract them again.",
        ),
    ] = False,
) -> None:
    """Extract the faces of every video that has none stored. Interrupted, it resumes when run again.

    Example: dfray extract mine.yaml faces.rate_fps=2
    """
    from dfray import stages
    from dfray.render.data import show_coverage

    show_coverage(stages.extract(call.run, verify=verify))
