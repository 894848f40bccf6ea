"""Checks of this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import INSPECTION, AsJson, app
from dfray.cli.command import Overrides, PrintRecipe, command, complete_recipe, resolve_recipe

OptionalRecipe = Annotated[
    str | None,
    typer.Argument(
        metavar="[RECIPE]",
        help="Check also all that `dfray run` would refuse of this recipe.",
        autocompletion=complete_recipe,
    ),
]


@command(app, panel=INSPECTION)
def doctor(
    recipe: OptionalRecipe = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    print_recipe: PrintRecipe = False,
) -> None:
    """Check this machine: packages, GPU, memory, disk, model files, object store, MLflow, and a recipe.

    Exit code 2 if something would be refused. Writes nothing and starts no Ray.

    Example: dfray doctor mine.yaml
    """
    from dfray.checks import Subject, find_problems
    from dfray.checks.machine import machine_findings
    from dfray.render.checks import show_findings
    from dfray.run_context import RunContext

    resolved = recipe and resolve_recipe(recipe, overrides, print_only=print_recipe)
    findings = machine_findings()
    if resolved:
        findings += find_problems(Subject(RunContext.of(resolved)), "run")
    show_findings(findings, as_json=as_json)
    if any(finding.severity == "refuse" for finding in findings):
        raise SystemExit(2)
