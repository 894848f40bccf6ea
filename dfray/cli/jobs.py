"""Stages as jobs of a running cluster: submit one, list them, read what they print, stop one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dfray.cli.app import CLUSTER, AsJson, Verbose, app, chosen_recipe
from dfray.errors import UserError

if TYPE_CHECKING:
    from dfray.jobs.client import Job, Jobs

Stage = Literal["extract", "train", "search", "evaluate", "register", "promote", "run", "score"]
Address = Annotated[
    str | None,
    typer.Option(
        help="The cluster's dashboard, http://HOST:8265. Default: RAY_API_SERVER_ADDRESS or "
        "RAY_ADDRESS, or the cluster of cluster/local.sh."
    ),
]
JobId = Annotated[str, typer.Argument(metavar="ID", help="A job's id, from `dfray jobs`.")]


@app.command(context_settings={"ignore_unknown_options": True}, rich_help_panel=CLUSTER)
def submit(
    stage: Annotated[Stage, typer.Argument(help="What to run there.")],
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE [KEY=VALUE]... [OPTION]...",
            help="As the stage's own command takes them; for `score`, its files.",
        ),
    ],
    address: Address = None,
    detach: Annotated[
        bool, typer.Option("--detach", "--no-wait", help="Print the job's id and do not follow it.")
    ] = False,
    env: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A variable of this environment that the job gets, besides AWS_*, MLFLOW_*, HF_*, "
            "DFRAY_*, RAY_TRAIN_* and RAY_DATA_*; may be repeated.",
        ),
    ] = None,
    working_dir: Annotated[
        Path, typer.Option(help="The folder that goes along, but for what .gitignore names.")
    ] = Path(),
) -> None:
    """Run a stage on a cluster, and follow what it prints to its end; its exit code is handed on.

    Ctrl-C leaves the job running. One that was stopped or has died goes on where it was when it is
    submitted again.
    """
    from dfray.access import dashboard_address
    from dfray.jobs.client import Jobs
    from dfray.jobs.submission import Asked, prepare
    from dfray.render import jobs as render

    given, options = _stage_arguments(stage, words)
    recipe = None
    if "recipe" in given:
        recipe = chosen_recipe(given["recipe"], given["overrides"], given["print_recipe"])
    jobs = Jobs(dashboard_address(address))
    files = tuple(given.get("files", ()))
    asked = Asked(stage, recipe, options, working_dir, env or [], files)
    submission = prepare(asked, here=jobs.is_here())
    render.submission(submission, jobs.address)
    try:
        jobs.submit(submission)
    except KeyboardInterrupt:
        render.interrupted(submission.job_id)
        raise SystemExit(130) from None
    if detach:
        print(submission.job_id)
    else:
        _follow(jobs, submission.job_id)


@app.command("jobs", rich_help_panel=CLUSTER)
def list_jobs(address: Address = None, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """List the jobs of the cluster, the latest first."""
    from dfray.render import jobs as render

    render.jobs(_jobs(address).list(), as_json=as_json)


@app.command(rich_help_panel=CLUSTER)
def logs(
    job_id: JobId,
    address: Address = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on to the job's end; hand its exit code on.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Print what a job has printed, or follow it to its end."""
    jobs = _jobs(address)
    job = jobs.get(job_id)
    if follow:
        _follow(jobs, job.id)
    else:
        print(jobs.logs(job.id), end="")


@app.command(rich_help_panel=CLUSTER)
def stop(job_id: JobId, address: Address = None, verbose: Verbose = False) -> None:
    """Stop a job, and wait until it has ended. Submitted again, it goes on where it was."""
    from dfray.render import jobs as render

    jobs = _jobs(address)
    was_over = jobs.get(job_id).is_over
    render.ended(jobs.stop(job_id), was_over=was_over)


def _jobs(address: str | None) -> Jobs:
    from dfray.access import dashboard_address
    from dfray.jobs.client import Jobs

    return Jobs(dashboard_address(address))


def _follow(jobs: Jobs, job_id: str) -> None:
    from dfray.render import jobs as render

    try:
        job: Job = jobs.follow(job_id, _write)
    except KeyboardInterrupt:
        render.detached(job_id)
        raise SystemExit(130) from None
    render.ended(job)
    raise SystemExit(job.exit_code)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _stage_arguments(stage: str, words: list[str]) -> tuple[dict[str, Any], list[str]]:
    """What the stage's own command reads from `words`, and those of them that are its options.

    A mistake is told as that command would tell it, before anything is submitted.
    """
    command = typer.main.get_command(app).commands.get(stage)  # type: ignore[attr-defined]
    if command is None:
        raise UserError(f"This dfray has no stage {stage}.")
    context = command.make_context(f"dfray {stage}", list(words))
    options: list[str] = []
    for parameter in command.params:
        value = context.params[parameter.name]
        if parameter.name in ("recipe", "overrides", "print_recipe") or value in (None, False):
            continue
        name = [parameter.opts[-1]] if parameter.param_type_name == "option" else []
        for one in value if isinstance(value, list | tuple) else [value]:
            options += name if one is True else [*name, str(one)]
    return context.params, options
