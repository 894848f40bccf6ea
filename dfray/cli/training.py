"""Training."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import PIPELINE, app
from dfray.cli.command import RecipeCall, recipe_command
from dfray.cli.dry_run import show_plan


@recipe_command(app, panel=PIPELINE)
def train(
    call: RecipeCall,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print what is due, model size, sample, memory and time instead of training; exit code 2 "
            "and all reasons if training, evaluation, registration or promotion would be refused.",
        ),
    ] = False,
) -> None:
    """Train on the faces; missing faces are extracted first, or during the first epoch.

    batches.stream_first_epoch chooses between the two.

    Example: dfray train mine.yaml --dry-run
    """
    from dfray import stages
    from dfray.render.training import show_history

    if dry_run:
        show_plan(call, "run")
    else:
        show_history(stages.train(call.run))
