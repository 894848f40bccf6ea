"""The whole pipeline in one command."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import PIPELINE, app
from dfray.cli.command import RecipeCall, recipe_command
from dfray.cli.dry_run import show_plan


@recipe_command(app, panel=PIPELINE)
def run(
    call: RecipeCall,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print what is due and what the training takes instead of running; exit code 2 and all "
            "reasons if it would be refused.",
        ),
    ] = False,
) -> None:
    """Run the whole pipeline, from videos to a promoted detector. Run again, it does what is due.

    Exit code 1 if the recipe's gates refuse the detector.

    Example: dfray run demo training.epochs=3
    """
    from dfray import stages
    from dfray.render.pipeline import show_run

    if dry_run:
        show_plan(call, "run")
        return
    result = stages.run_pipeline(call.run)
    show_run(result)
    if not result.promoted:
        raise SystemExit(1)


@recipe_command(app, panel=PIPELINE)
def status(call: RecipeCall) -> None:
    """List the stages of a run: done, reused, or due because of which keys. Does nothing.

    Example: dfray status mine.yaml training.lr=3e-4
    """
    from dfray import stages
    from dfray.render.pipeline import show_status

    show_status(stages.status(call.run))
