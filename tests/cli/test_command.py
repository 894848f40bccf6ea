"""Arguments and options that every command shares."""

from __future__ import annotations

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from dfray.cli import app
from dfray.cli.command import RecipeCall, command, complete_recipe, recipe_command

SHARED = {"recipe", "overrides", "print_recipe", "verbose"}


@pytest.fixture
def toy() -> typer.Typer:
    """An app with one command that takes a recipe, and one that takes none."""
    toy = typer.Typer()

    @recipe_command(toy)
    def size(call: RecipeCall, times: Annotated[int, typer.Option(help="Factor.")] = 1) -> None:
        """Print the batch size."""
        print(call.recipe.batches.batch_size * times, call.arguments, call.verbose)

    @command(toy)
    def fail() -> None:
        """Raise an error."""
        raise ValueError("no")

    return toy


def test_a_command_gets_the_resolved_recipe_and_its_own_options(toy: typer.Typer) -> None:
    words = ["size", "demo", "batches.batch_size=8", "--times", "3", "-v"]
    done = CliRunner().invoke(toy, words, catch_exceptions=False)
    assert done.stdout == "24 ('demo', 'batches.batch_size=8') True\n"


def test_print_recipe_prints_and_does_nothing_else(toy: typer.Typer) -> None:
    done = CliRunner().invoke(toy, ["size", "demo", "--print-recipe"], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.stdout.startswith("name: demo\n")
    assert "('demo'" not in done.stdout


def test_help_fills_its_lines_whatever_the_lines_of_the_docstring() -> None:
    app = typer.Typer()

    @command(app)
    def measure() -> None:
        """Measure.

        The first line of a paragraph
        goes on.

        Example: measure
        """

    shown = CliRunner().invoke(app, ["--help"]).output
    assert "The first line of a paragraph goes on." in shown
    lines = [line.strip() for line in shown.splitlines()]
    assert "Example: measure" in lines


def test_verbose_prints_the_traceback_of_an_error(toy: typer.Typer) -> None:
    quiet = CliRunner().invoke(toy, ["fail"])
    assert isinstance(quiet.exception, ValueError)
    assert quiet.stderr == ""
    loud = CliRunner().invoke(toy, ["fail", "--verbose"])
    assert loud.stderr.startswith("Traceback (most recent call last):")


def test_every_command_that_takes_a_recipe_takes_all_shared_parameters() -> None:
    def parameters(group):
        for inner in group.commands.values():
            if hasattr(inner, "commands"):
                yield from parameters(inner)
            else:
                yield inner.name, {parameter.name for parameter in inner.params}

    for name, own in parameters(typer.main.get_command(app)):
        if "recipe" in own:
            assert own >= SHARED, name
        elif name not in ("submit", "keys"):
            assert "verbose" in own, name


def test_installed_recipes_are_completed() -> None:
    assert complete_recipe("twin-sb") == ["twin-sbi"]
    assert "demo" in complete_recipe("")
