"""Training and evaluation."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import PIPELINE, app
from dfray.cli.command import RecipeCall, recipe_command
from dfray.cli.dry_run import CheckOnly, show_plan, show_state
from dfray.errors import UserError


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


@recipe_command(app, panel=PIPELINE)
def evaluate(
    call: RecipeCall,
    protocol: Annotated[
        str | None,
        typer.Option(help="Write the table of a protocol: `paper`, or a YAML file."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="With --protocol: models:/NAME@ALIAS or models:/NAME/VERSION to compare with the "
            "run's own model; may be repeated."
        ),
    ] = None,
    dry_run: CheckOnly = False,
) -> None:
    """Score the held-out split, compute the metrics and write the report.

    With --protocol, measure the run's model and every --model by its scenarios instead, and write the
    table with the published rows.

    Example: dfray evaluate mine.yaml --protocol paper --model models:/deepfake-detector@champion
    """
    from dfray import stages
    from dfray.render.evaluation import show_metrics

    if dry_run:
        show_state(call, "evaluate")
        return
    if protocol is not None:
        page = stages.compare_models(call.run, protocol, model or [])
        print(f"Table: {page}")
        return
    if model:
        raise UserError("--model names models for a protocol's table.", "Add --protocol paper.")
    show_metrics(stages.evaluate(call.run))
    print(f"Report: {call.run.folder.report}")
