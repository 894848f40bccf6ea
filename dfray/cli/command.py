"""Arguments and options that commands share, declared once.

A command's function declares its own options only. `command` adds --verbose and --quiet to it;
`recipe_command` also adds the recipe, its overrides and --print-recipe, and calls it with a `RecipeCall`:

    @recipe_command(app, panel=PIPELINE)
    def train(call: RecipeCall, dry_run: Annotated[bool, typer.Option(help="...")] = False) -> None:
        ...
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from dfray.cli.app import filled_help
from dfray.notes import quietly

if TYPE_CHECKING:
    from dfray.config import Recipe
    from dfray.installed_files import Kind
    from dfray.run_context import RunContext

P = ParamSpec("P")


@dataclass(frozen=True)
class RecipeCall:
    """The recipe that a command line names, resolved.

    Attributes:
        arguments: the recipe and its overrides as typed, for a command that the user runs next.
        verbose: show Ray's own output.
    """

    recipe: Recipe
    arguments: tuple[str, ...]
    verbose: bool

    @cached_property
    def run(self) -> RunContext:
        """The context of the recipe's run, for the stages."""
        from dfray.run_context import RunContext

        return RunContext.of(self.recipe, verbose=self.verbose)


def complete_recipe(incomplete: str) -> list[str]:
    """Return the installed recipes whose names begin with `incomplete`."""
    return complete_installed("recipe", incomplete)


def complete_installed(kind: Kind, incomplete: str) -> list[str]:
    """Return the installed files of a kind whose names begin with `incomplete`."""
    from dfray.installed_files import installed_names

    return [name for name in installed_names(kind) if name.startswith(incomplete)]


_RECIPE = typer.Argument(
    metavar="RECIPE",
    help="A YAML file, local or s3://, or a name from `dfray recipes`.",
    autocompletion=complete_recipe,
)
RecipeName = Annotated[str, _RECIPE]
OptionalRecipeName = Annotated[str | None, _RECIPE]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Overrides such as training.epochs=3; `dfray recipes keys` lists the keys.",
    ),
]
PrintRecipe = Annotated[
    bool, typer.Option("--print-recipe", help="Print the resolved recipe as YAML and exit.")
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Show Ray's own output, and the tracebacks of errors."),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Print results, warnings and errors; no progress, no notes."
    ),
]


def command(
    group: typer.Typer, name: str | None = None, *, panel: str | None = None
) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Return a decorator that makes a function a command of `group`, with --verbose and --quiet."""

    def register(function: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(function)
        def run(*, verbose: bool, quiet: bool, **options: Any) -> None:
            with tracebacks(verbose), quietly(quiet):
                function(**options)  # type: ignore[call-arg]

        parameters = _parameters(function)
        _declare(run, [*parameters, *_output()])
        group.command(name, rich_help_panel=panel)(run)
        return function

    return register


def recipe_command(
    group: typer.Typer,
    name: str | None = None,
    *,
    panel: str | None = None,
    needs_recipe: bool = True,
) -> Callable[
    [Callable[Concatenate[RecipeCall, P], None]], Callable[Concatenate[RecipeCall, P], None]
]:
    """Return a decorator that makes a function a command of `group` which takes a recipe.

    Args:
        needs_recipe: False: its function takes None for the call if the command line names no recipe.
    """

    def register(
        function: Callable[Concatenate[RecipeCall, P], None],
    ) -> Callable[Concatenate[RecipeCall, P], None]:
        @functools.wraps(function)
        def run(
            *,
            recipe: str | None,
            overrides: list[str] | None,
            print_recipe: bool,
            verbose: bool,
            quiet: bool,
            **options: Any,
        ) -> None:
            from dfray.command_log import logged

            with tracebacks(verbose), quietly(quiet), logged(sys.argv[1:]):
                call = None
                if recipe is not None:
                    resolved = resolve_recipe(recipe, overrides, print_only=print_recipe)
                    call = RecipeCall(resolved, (recipe, *(overrides or ())), verbose)
                function(call, **options)  # type: ignore[arg-type,call-arg]

        _, *parameters = _parameters(function)  # the first is the call
        _declare(
            run,
            [
                _parameter("recipe", RecipeName)
                if needs_recipe
                else _parameter("recipe", OptionalRecipeName, None),
                _parameter("overrides", Overrides, None),
                *parameters,
                _parameter("print_recipe", PrintRecipe, False),
                *_output(),
            ],
        )
        group.command(name, rich_help_panel=panel)(run)
        return function

    return register


def resolve_recipe(name: str, overrides: list[str] | None, *, print_only: bool) -> Recipe:
    """Return the recipe of a command line; with `print_only`, print it and exit."""
    from dfray.recipe import dump_recipe, load_recipe

    recipe = load_recipe(name, overrides)
    if print_only:
        print(dump_recipe(recipe), end="")
        raise typer.Exit
    return recipe


@contextmanager
def tracebacks(verbose: bool) -> Iterator[None]:
    """Print the traceback of an error that leaves this context, if `verbose`."""
    try:
        yield
    except typer.Exit:
        raise
    except Exception as error:
        if verbose:
            import traceback

            traceback.print_exception(error)
        raise


def _parameters(function: Callable[..., None]) -> list[inspect.Parameter]:
    """Return the parameters of a command's function, as keywords with evaluated annotations."""
    signature = inspect.signature(function, eval_str=True)
    return [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in signature.parameters.values()
    ]


def _parameter(
    name: str, annotation: object, default: object = inspect.Parameter.empty
) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
    )


def _output() -> list[inspect.Parameter]:
    """Return the options of every command that concern what it prints."""
    return [_parameter("verbose", Verbose, False), _parameter("quiet", Quiet, False)]


def _declare(function: Callable[..., None], parameters: list[inspect.Parameter]) -> None:
    """Give a function the parameters that Typer reads, in their order on the command line, and its help."""
    filled_help(function)
    vars(function)["__signature__"] = inspect.Signature(parameters)
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
