"""Installed recipes, and the keys of a recipe."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from dfray.render.data import show_manifest
from dfray.render.tables import console, new_table, print_lines

if TYPE_CHECKING:
    from dfray.config import Recipe
    from dfray.config.keys import RecipeKey
    from dfray.planning.new_recipe import Collection


def show_recipes(recipes: list[Recipe]) -> None:
    """Print the name and description of each recipe."""
    table = new_table("name", "description")
    for recipe in recipes:
        table.add_row(recipe.name, recipe.description)
    console.print(table)


def show_keys(keys: list[RecipeKey]) -> None:
    """Print each key with type, default and unit, and its description below."""
    for key in keys:
        unit = f", {key.unit}" if key.unit else ""
        default = "required" if key.default is None else f"default {key.default}"
        console.print(f"{key.path}  ({key.type}{unit}; {default})", highlight=False)
        console.print(f"    {key.description}", highlight=False)


def show_new(path: str, collection: Collection) -> None:
    """Print the counts of the videos that a new recipe names, and the commands to go on with."""
    show_manifest(collection.manifest)
    file = shlex.quote(path)
    print_lines(
        [
            ("recipe", f"{path}, with reader {collection.reader}"),
            ("next", f"dfray manifest check {file}"),
            ("", f"dfray train {file} --dry-run"),
            ("", f"dfray run {file}"),
        ]
    )
