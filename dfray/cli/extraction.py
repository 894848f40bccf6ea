"""Face extraction."""

from __future__ import annotations

from dfray.cli.app import PIPELINE, app
from dfray.cli.command import RecipeCall, recipe_command


@recipe_command(app, panel=PIPELINE)
def extract(call: RecipeCall) -> None:
    """Extract the faces of every video that has none stored. Interrupted, it resumes when run again.

    Example: dfray extract mine.yaml faces.rate_fps=2
    """
    from dfray import stages
    from dfray.render.data import show_coverage

    show_coverage(stages.extract(call.run))
