"""Manifest and faces."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import (
    LOOK,
    ROAD,
    Overrides,
    PrintRecipe,
    RecipeName,
    Verbose,
    app,
    chosen_recipe,
)

manifest_app = typer.Typer(no_args_is_help=True, help="One row a video: build it, check it.")
app.add_typer(manifest_app, name="manifest", rich_help_panel=LOOK)


@manifest_app.command("check")
def manifest_check(
    recipe: RecipeName,
    overrides: Overrides = None,
    print_recipe: PrintRecipe = False,
    list_only: Annotated[
        bool, typer.Option("--list-only", help="Open no file; on s3 it takes three requests each.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Count videos by split and class, and against what is published of each corpus.

    Lists what is missing and, as it opens every file, what cannot be opened. Writes nothing.
    """
    from dfray import render, stages
    from dfray.run_context import RunContext

    run = RunContext.of(chosen_recipe(recipe, overrides, print_recipe))
    render.manifest(stages.check_manifest(run, opened=0 if list_only else None))


@manifest_app.command("build")
def manifest_build(
    recipe: RecipeName,
    overrides: Overrides = None,
    print_recipe: PrintRecipe = False,
    verbose: Verbose = False,
) -> None:
    """Check the corpora and write the manifest of the run."""
    from dfray import render, stages
    from dfray.run_context import RunContext

    run = RunContext.of(chosen_recipe(recipe, overrides, print_recipe))
    render.manifest(stages.build_manifest(run))


@app.command(rich_help_panel=ROAD)
def extract(
    recipe: RecipeName,
    overrides: Overrides = None,
    print_recipe: PrintRecipe = False,
    verbose: Verbose = False,
) -> None:
    """Find and keep the faces of every video not yet done. Kill it and run it again at will."""
    from dfray import render, stages
    from dfray.run_context import RunContext

    run = RunContext.of(chosen_recipe(recipe, overrides, print_recipe), verbose=verbose)
    render.coverage(stages.extract(run))


@app.command("self-blend", rich_help_panel=LOOK)
def self_blend(
    recipe: RecipeName,
    overrides: Overrides = None,
    out: Annotated[str, typer.Option(help="Where the PNG goes, local or s3://.")] = "sheet.png",
    faces: Annotated[int, typer.Option(min=1, help="How many faces it shows.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the faces and their blending.")] = 0,
    verbose: Verbose = False,
) -> None:
    """Draw a contact sheet of self-blended faces: crop, real view, mask, fake."""
    from dfray import stages
    from dfray.run_context import RunContext

    run = RunContext.of(chosen_recipe(recipe, overrides, False))
    print(stages.self_blend(run, out, count=faces, seed=seed))
