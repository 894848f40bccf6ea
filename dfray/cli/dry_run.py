"""Dry runs: the state of each stage, and all that the asked one would refuse, with nothing spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dfray.cli.command import RecipeCall

if TYPE_CHECKING:
    from dfray.checks import Stage

CheckOnly = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print what is done and what is due, and do nothing; exit code 2 and all reasons if it would be "
        "refused.",
    ),
]


def show_plan(call: RecipeCall, for_stage: Stage) -> None:
    """Look at the corpora; print the state of each stage, the plan of a training, and what is refused.

    Raises:
        CheckError: the stage would be refused.
    """
    from dfray import checks, stages
    from dfray.render.pipeline import show_status
    from dfray.render.training import show_training_plan
    from dfray.run_status import run_status

    subject = checks.Subject(call.run)
    findings = checks.find_problems(subject, for_stage)
    try:
        if subject.videos is not None:
            call.run.look_at(subject.videos)
            show_status(run_status(call.run))
        show_training_plan(stages.plan_training(call.run, subject))
    finally:
        checks.report(findings)  # an error of the plan is among them


def show_state(call: RecipeCall, for_stage: Stage) -> None:
    """Print the state of each stage by the last look at the corpora, and what a later stage refuses.

    Raises:
        CheckError: the stage would be refused.
    """
    from dfray import checks
    from dfray.render.pipeline import show_status
    from dfray.run_status import run_status

    if call.run.has_manifest:
        show_status(run_status(call.run))
    checks.report(checks.find_problems(checks.Subject.as_listed(call.run), for_stage))
