"""The whole road, and the recipes to walk it with."""

from __future__ import annotations

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


@app.command(rich_help_panel=ROAD)
def run(
    recipe: RecipeName,
    overrides: Overrides = None,
    print_recipe: PrintRecipe = False,
    verbose: Verbose = False,
) -> None:
    """The whole road: clips or corpora to a promoted detector. Run again, it goes on where it was.

    Exit code 1 if the recipe's gates refuse the detector.
    """
    from dfray import render, stages
    from dfray.run_context import RunContext

    chosen = chosen_recipe(recipe, overrides, print_recipe)
    result = stages.run_pipeline(RunContext.of(chosen, verbose=verbose))
    render.run_result(result)
    if not result.decision.promoted:
        raise SystemExit(1)


@app.command(rich_help_panel=LOOK)
def recipes() -> None:
    """List the recipes that come with dfray."""
    from dfray import render
    from dfray.recipe import load_recipe, named_recipes

    render.recipes([load_recipe(name) for name in named_recipes()])
