"""The arguments that commands share, and the app that they hang on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dfray.config import Recipe

app = typer.Typer(
    help="Distributed training of deepfake detectors on Ray: "
    "videos -> manifest -> faces -> training -> evaluation -> registry.\n\n"
    "Start with `dfray run demo`; then copy jobs/recipes/demo.yaml and name your own videos in it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

# The panels of `dfray --help`.
ROAD = "The road, stage by stage"
CHOOSE = "Search and promotion"
CLUSTER = "On a cluster"
LOOK = "Look and prepare"

RecipeName = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A YAML file, or a name from `dfray recipes`.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Overrides, such as training.epochs=3."),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show Ray's own output, and tracebacks of errors.")
]
PrintRecipe = Annotated[
    bool, typer.Option("--print-recipe", help="Print the resolved recipe and do nothing.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def chosen_recipe(name: str, overrides: list[str] | None, print_only: bool) -> Recipe:
    from dfray.recipe import dump_recipe, load_recipe

    recipe = load_recipe(name, overrides)
    if print_only:
        print(dump_recipe(recipe), end="")
        raise typer.Exit
    return recipe
