"""Search over a recipe's space."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from dfray.cli.app import SELECTION, app
from dfray.cli.command import RecipeCall, recipe_command
from dfray.cli.dry_run import CheckOnly, show_plan


@recipe_command(app, panel=SELECTION)
def search(
    call: RecipeCall,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Resume an interrupted search: finished trials are kept, others continue from their "
            "checkpoints.",
        ),
    ] = False,
    dry_run: CheckOnly = False,
) -> None:
    """Train trials over the recipe's search space, repeat the best, and register the winner.

    Example: dfray search mine.yaml search.trials=20
    """
    from dfray import stages
    from dfray.render.search import show_search
    from dfray.search.page import page_of

    if dry_run:
        show_plan(call, "search")
        return
    result = stages.search(call.run, resume=resume)
    show_search(result, page_of(result), shlex.join(call.arguments))
