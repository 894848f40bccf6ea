"""Training and evaluation."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import ROAD, Overrides, PrintRecipe, RecipeName, Verbose, app, chosen_recipe
from dfray.errors import UserError


@app.command(rich_help_panel=ROAD)
def train(
    recipe: RecipeName,
    overrides: Overrides = None,
    print_recipe: PrintRecipe = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Tell the model, sample, memory and time; do not train."),
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Train on the faces (the first epoch from the running extraction, if the recipe says so)."""
    from dfray import render, stages
    from dfray.run_context import RunContext

    run = RunContext.of(chosen_recipe(recipe, overrides, print_recipe), verbose=verbose)
    if dry_run:
        render.training_plan(stages.plan_training(run))
    else:
        render.history(stages.train(run))


@app.command(rich_help_panel=ROAD)
def evaluate(
    recipe: RecipeName,
    overrides: Overrides = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="Write a protocol's table: `paper`, or a YAML file of one's own."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="With --protocol: models:/NAME@ALIAS or models:/NAME/VERSION to set beside the "
            "run's own model; may be repeated."
        ),
    ] = None,
    print_recipe: PrintRecipe = False,
    verbose: Verbose = False,
) -> None:
    """Score the held-out split, compute the metrics and write the report.

    With --protocol, measure the run's model and every --model by its scenarios instead, and write the
    table with the published rows beside it.
    """
    from dfray import render, stages
    from dfray.run_context import RunContext

    run = RunContext.of(chosen_recipe(recipe, overrides, print_recipe), verbose=verbose)
    if protocol is not None:
        page = stages.compare_models(run, protocol, model or [])
        print(f"Table: {page}")
        return
    if model:
        raise UserError("--model names models for a protocol's table.", "Add --protocol paper.")
    render.evaluation(stages.evaluate(run))
    print(f"Report: {run.folder.report}")
