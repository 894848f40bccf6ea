"""Installed recipes, and the keys of a recipe."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import INSPECTION, app
from dfray.cli.command import command

recipes_app = typer.Typer(invoke_without_command=True)
app.add_typer(recipes_app, name="recipes", rich_help_panel=INSPECTION)


@recipes_app.callback()
def recipes(context: typer.Context) -> None:
    """List the recipes that are installed with dfray, or with `keys` every key of a recipe."""
    if context.invoked_subcommand is None:
        from dfray.recipe import load_recipe, named_recipes
        from dfray.render.recipes import show_recipes

        show_recipes([load_recipe(name) for name in named_recipes()])


@command(recipes_app)
def keys(
    section: Annotated[
        str,
        typer.Argument(metavar="[SECTION]", help="A section such as training or augment.affine."),
    ] = "",
) -> None:
    """List the keys of a recipe with type, default, unit and description.

    Example: dfray recipes keys training
    """
    from dfray.config.keys import recipe_keys
    from dfray.render.recipes import show_keys

    show_keys(recipe_keys(section))


@command(recipes_app)
def new(
    path: Annotated[
        str, typer.Argument(metavar="FILE", help="YAML file to write, such as mine.yaml.")
    ],
    videos: Annotated[
        str,
        typer.Option(help="Folder of the videos, local or s3://, or a CSV file that lists them."),
    ],
) -> None:
    """Write a recipe for one's own videos, with the keys that matter and their comments.

    Looks at the folder: which reader takes its videos, how many there are, and how long they are.

    Example: dfray recipes new mine.yaml --videos my/clips
    """
    from dfray.planning.new_recipe import write_recipe
    from dfray.render.recipes import show_new

    show_new(path, write_recipe(path, videos))
