"""Registered models: their versions, the champion, and the scores it gives."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import AsJson, Overrides, PrintRecipe, RecipeName, Verbose, app, chosen_recipe


@app.command()
def register(
    recipe: RecipeName,
    overrides: Overrides = None,
    print_recipe: PrintRecipe = False,
    verbose: Verbose = False,
) -> None:
    """Put the run's model into the registry, with the alias `candidate`."""
    from dfray import stages

    chosen = chosen_recipe(recipe, overrides, print_recipe)
    print(f"Registered {chosen.registry.model_name} version {stages.register(chosen)}.")


@app.command()
def promote(
    recipe: RecipeName,
    overrides: Overrides = None,
    version: Annotated[str | None, typer.Option(help="Default: the alias `candidate`.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the gates, move nothing.")
    ] = False,
    print_recipe: PrintRecipe = False,
    verbose: Verbose = False,
) -> None:
    """Make a version the champion if the recipe's gates hold; exit code 1 if they do not."""
    from dfray import render, stages

    chosen = chosen_recipe(recipe, overrides, print_recipe)
    decision = stages.promote(chosen, version=version, dry_run=dry_run, verbose=verbose)
    render.decision(decision)
    if not decision.promoted and not dry_run:
        raise SystemExit(1)


@app.command()
def rollback(recipe: RecipeName, overrides: Overrides = None, verbose: Verbose = False) -> None:
    """Give the alias `champion` back to the version that had it before."""
    from dfray import render, stages

    render.decision(stages.rollback(chosen_recipe(recipe, overrides, False)))


@app.command()
def history(
    recipe: RecipeName,
    overrides: Overrides = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Every promotion, refusal and rollback of the recipe's model, oldest first."""
    from dfray import render, stages

    render.decisions(stages.history(chosen_recipe(recipe, overrides, False)), as_json=as_json)


@app.command()
def score(
    files: Annotated[list[str], typer.Argument(help="Videos or pictures, local or s3://.")],
    model: Annotated[
        str | None,
        typer.Option(help="models:/NAME@ALIAS or models:/NAME/VERSION; default: the champion."),
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(help="Default: MLFLOW_TRACKING_URI, or sqlite in ./runs/mlflow.db."),
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Score files with the champion: is it a deepfake? Exit code 1 if one could not be read."""
    from dfray import render, stages

    found = stages.score(files, model=model, tracking_uri=tracking_uri)
    render.scores(found, as_json=as_json)
    if any(one.outcome not in ("ok", "no_face") for one in found):
        raise SystemExit(1)
