"""Registered models: their versions, the champion, and the scores it gives."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import (
    CHOOSE,
    ROAD,
    AsJson,
    Overrides,
    PrintRecipe,
    RecipeName,
    Verbose,
    app,
    chosen_recipe,
)

registry = typer.Typer(
    help="Look into the registry: what was decided about the champion, and what each version is.",
    no_args_is_help=True,
)
app.add_typer(registry, name="registry", rich_help_panel=CHOOSE)


@app.command(rich_help_panel=ROAD)
def register(
    recipe: RecipeName,
    overrides: Overrides = None,
    print_recipe: PrintRecipe = False,
    verbose: Verbose = False,
) -> None:
    """Package the run's model with a model card and checksums, and point `candidate` at it."""
    from dfray import stages
    from dfray.run_context import RunContext

    chosen = chosen_recipe(recipe, overrides, print_recipe)
    version = stages.register(RunContext.of(chosen, verbose=verbose))
    print(f"Registered {chosen.registry.model_name} version {version}.")


@app.command(rich_help_panel=CHOOSE)
def promote(
    recipe: RecipeName,
    overrides: Overrides = None,
    version: Annotated[
        str | None, typer.Option(help="A number or an alias. Default: the alias `candidate`.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the table of gates; write and move nothing.")
    ] = False,
    over_lost_champion: Annotated[
        bool,
        typer.Option(
            "--over-lost-champion",
            help="The champion is deleted or damaged: promote without comparing with it.",
        ),
    ] = False,
    print_recipe: PrintRecipe = False,
    verbose: Verbose = False,
) -> None:
    """Make a version the champion if the recipe's gates hold; exit code 1 if they do not.

    Both models are set against each other on the same videos, and a refusal is written down like a
    promotion is: see `dfray registry history`.
    """
    from dfray import stages
    from dfray.render import registry as render
    from dfray.run_context import RunContext

    chosen = chosen_recipe(recipe, overrides, print_recipe)
    decision = stages.promote(
        RunContext.of(chosen, verbose=verbose),
        version=version,
        dry_run=dry_run,
        over_lost_champion=over_lost_champion,
    )
    render.decision(decision)
    if not decision.promoted and not dry_run:
        raise SystemExit(1)


@app.command(rich_help_panel=CHOOSE)
def rollback(recipe: RecipeName, overrides: Overrides = None, verbose: Verbose = False) -> None:
    """Undo the last promotion: the version with the alias `previous` is the champion again."""
    from dfray import stages
    from dfray.render import registry as render
    from dfray.run_context import RunContext

    run = RunContext.of(chosen_recipe(recipe, overrides, False))
    render.decision(stages.rollback(run))


@registry.command("history")
def history(
    recipe: RecipeName,
    overrides: Overrides = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Every promotion, refusal and rollback: who, when, both versions and why; oldest first.

    With --json also all gates, both models' figures and the code's commit.
    """
    from dfray import stages
    from dfray.render import registry as render
    from dfray.run_context import RunContext

    run = RunContext.of(chosen_recipe(recipe, overrides, False))
    render.decisions(stages.promotion_history(run), as_json=as_json)


@registry.command("show")
def show(
    recipe: RecipeName,
    overrides: Overrides = None,
    version: Annotated[
        str | None,
        typer.Option(help="A number, `candidate`, `champion` or `previous`: this one in full."),
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """The versions of the recipe's model: aliases, figures, and whether their files are whole.

    With --version also the model card. Exit code 1 if a package that was checked is damaged.
    """
    from dfray import stages
    from dfray.render import registry as render
    from dfray.run_context import RunContext

    run = RunContext.of(chosen_recipe(recipe, overrides, False))
    versions = stages.registered_versions(run, version)
    render.versions(versions, in_full=version is not None, as_json=as_json)
    if any(view.damaged for view in versions):
        raise SystemExit(1)


@app.command(rich_help_panel=ROAD)
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
