"""Installed recipes, and the keys of a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfray.render.tables import console, new_table

if TYPE_CHECKING:
    from dfray.config import Recipe
    from dfray.config.keys import RecipeKey


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
        console.print(f"{key.path}  ({key.type}{unit}; {default})", markup=False, highlight=False)
        console.print(f"    {key.description}", markup=False, highlight=False)
