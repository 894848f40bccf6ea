"""Runs of a work_dir."""

from __future__ import annotations

from typing import Annotated

import typer

from dfray.cli.app import INSPECTION, app
from dfray.cli.command import command

runs_app = typer.Typer(invoke_without_command=True)
app.add_typer(runs_app, name="runs", rich_help_panel=INSPECTION)

WorkDir = Annotated[str, typer.Option(help="Path or s3:// URI that holds the folders of all runs.")]
RunReference = Annotated[
    str, typer.Argument(metavar="RUN", help="NAME for its latest run, or NAME/KEY.")
]


@runs_app.callback()
def runs(context: typer.Context, work_dir: WorkDir = "runs") -> None:
    """List the runs of a work_dir: state, AUC, size, and what differs from the run before."""
    context.obj = work_dir
    if context.invoked_subcommand is None:
        from dfray import stages
        from dfray.render.runs import show_runs

        show_runs(stages.list_runs(work_dir))


@command(runs_app)
def compare(first: RunReference, second: RunReference, work_dir: WorkDir = "runs") -> None:
    """Set two runs side by side: the keys that differ, and their figures.

    Example: dfray runs compare mine mine/3fa81c
    """
    from dfray import stages
    from dfray.render.runs import show_comparison

    show_comparison(stages.compare_runs(work_dir, first, second))


@command(app, panel=INSPECTION)
def clean(
    work_dir: Annotated[
        str, typer.Argument(help="Path or s3:// URI that holds the folders of all runs.")
    ] = "runs",
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove them; without it they are listed.")
    ] = False,
) -> None:
    """List what no run and no registered version needs, and with --yes remove it.

    Models that are trained are always kept. Let no run of this work_dir be under way.
    """
    from dfray import stages
    from dfray.render.runs import show_unneeded

    show_unneeded(stages.clean(work_dir, remove=yes), removed=yes)
