"""Arguments of a stage's own command, as `dfray submit` forwards them to a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperGroup

from dfray.cli.app import app
from dfray.errors import UserError

_RESOLVED_HERE = ("recipe", "overrides", "print_recipe")
_FILES = ("files", "out", "frames", "report", "scores", "labels", "to")
"""Arguments and options that name files which the job reads or writes."""


@dataclass(frozen=True)
class StageArguments:
    """Parsed arguments of a stage's command.

    Attributes:
        recipe: name or path; none for `score`.
        files: that the command line names, to be read or written.
        options: words to forward to the job's command line, `files` included.
    """

    recipe: str | None
    overrides: list[str]
    print_recipe: bool
    verbose: bool
    files: tuple[str, ...]
    options: list[str]


def parse_stage_arguments(stage: str, arguments: list[str]) -> StageArguments:
    """Parse arguments as the command `dfray STAGE` does, before anything is submitted.

    Raises:
        UserError: this dfray has no such command.
        typer.Exit, Typer's usage errors: as that command raises them.
    """
    group = typer.main.get_command(app)
    command = group.commands.get(stage) if isinstance(group, TyperGroup) else None
    if command is None:
        raise UserError(f"This dfray has no stage {stage}.")
    context = command.make_context(f"dfray {stage}", list(arguments))
    values = context.params
    options: list[str] = []
    for parameter in command.params:
        value = values[str(parameter.name)]
        if parameter.name in _RESOLVED_HERE or value is None or value is False:
            continue
        name = [parameter.opts[-1]] if parameter.param_type_name == "option" else []
        for item in value if isinstance(value, list | tuple) else [value]:
            options += name if item is True else [*name, str(item)]
    return StageArguments(
        recipe=values.get("recipe"),
        overrides=list(values.get("overrides") or ()),
        print_recipe=bool(values.get("print_recipe")),
        verbose=bool(values.get("verbose")),
        files=tuple(name for option in _FILES for name in _names(values.get(option))),
        options=options,
    )


def _names(value: Any) -> list[str]:
    """Return the names that a parameter has: none, one, or those of one that may be repeated."""
    return [value] if isinstance(value, str) else list(value or ())
