"""The search over a recipe's space."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from dfray.cli.app import CHOOSE, Overrides, PrintRecipe, RecipeName, Verbose, app, chosen_recipe


@app.command(rich_help_panel=CHOOSE)
def search(
    recipe: RecipeName,
    overrides: Overrides = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with a search that was cut off: ended trials are kept, others go on from "
            "their checkpoints.",
        ),
    ] = False,
    print_recipe: PrintRecipe = False,
    verbose: Verbose = False,
) -> None:
    """Train trials over the recipe's search space, repeat the best, and register the winner."""
    from dfray import stages
    from dfray.render.search import search as render_search
    from dfray.run_context import RunContext
    from dfray.search.page import page_of

    chosen = chosen_recipe(recipe, overrides, print_recipe)
    result = stages.search(RunContext.of(chosen, verbose=verbose), resume=resume)
    render_search(result, page_of(result), shlex.join([recipe, *(overrides or [])]))
