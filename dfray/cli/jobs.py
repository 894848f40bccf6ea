"""Stages as jobs of a running cluster: submit, list, follow and stop them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dfray.cli.app import CLUSTER, AsJson, app
from dfray.cli.command import command, resolve_recipe, tracebacks
from dfray.termination import exit_code

if TYPE_CHECKING:
    from dfray.cli.stage_arguments import StageArguments
    from dfray.config import Recipe
    from dfray.jobs.client import JobClient
    from dfray.jobs.submission import Submission

Stage = Literal["extract", "train", "search", "evaluate", "register", "promote", "run", "score"]
Address = Annotated[
    str | None,
    typer.Option(
        help="URL of the cluster's dashboard, http://HOST:8265. Default: RAY_API_SERVER_ADDRESS or "
        "RAY_ADDRESS, or the cluster of cluster/local.sh."
    ),
]
JobId = Annotated[str, typer.Argument(metavar="ID", help="Id of a job, from `dfray jobs`.")]
StageWords = Annotated[
    list[str],
    typer.Argument(
        metavar="RECIPE [KEY=VALUE]... [OPTION]...",
        help="Arguments and options of the stage's own command; for `score`, its files.",
    ),
]
Detach = Annotated[
    bool, typer.Option("--detach", "--no-wait", help="Print the job's id and do not follow it.")
]
Env = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="A variable of this environment to set for the job, besides AWS_*, MLFLOW_*, HF_*, "
        "DFRAY_*, RAY_TRAIN_* and RAY_DATA_* that hold no secret; may be repeated.",
    ),
]
WorkingDir = Annotated[
    Path,
    typer.Option(
        help="Folder to upload with the job. What git ignores, files that may hold secrets and links out of "
        "it stay here."
    ),
]
ListOnly = Annotated[
    bool, typer.Option("--list", help="Print the files that would be uploaded, and submit nothing.")
]
Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Follow the job to its end; exit with its code.")
]


# Not `command`: every option that submit does not know, --verbose among them, is the stage's.
@app.command(context_settings={"ignore_unknown_options": True}, rich_help_panel=CLUSTER)
def submit(
    stage: Annotated[Stage, typer.Argument(help="Stage to run on the cluster.")],
    stage_arguments: StageWords,
    address: Address = None,
    detach: Detach = False,
    env: Env = None,
    working_dir: WorkingDir = Path(),
    list_only: ListOnly = False,
) -> None:
    """Run a stage as a job of a cluster, and follow its output to its end; exit with its code.

    Ctrl-C leaves the job running. A job that was stopped or has died resumes when it is submitted again.

    Example: dfray submit train mine.yaml training.epochs=3 --address http://HOST:8265
    """
    from dfray.cli.stage_arguments import parse_stage_arguments
    from dfray.jobs.submission import JobRequest, package_of, prepare
    from dfray.render.jobs import show_package

    arguments = parse_stage_arguments(stage, stage_arguments)
    with tracebacks(arguments.verbose):
        request = JobRequest(
            stage, _recipe(arguments), arguments.options, working_dir, env or [], arguments.files
        )
        if list_only:
            show_package(package_of(request))
            return
        client = _client(address)
        submission = prepare(request, same_machine=client.is_same_machine())
        _submit(client, submission)
        if detach:
            print(submission.job_id)
        else:
            _follow(client, submission.job_id)


@command(app, "jobs", panel=CLUSTER)
def list_jobs(address: Address = None, as_json: AsJson = False) -> None:
    """List the jobs of the cluster, newest first."""
    from dfray.render import jobs as render

    render.show_jobs(_client(address).list_jobs(), as_json=as_json)


@command(app, panel=CLUSTER)
def logs(job_id: JobId, address: Address = None, follow: Follow = False) -> None:
    """Print the output of a job so far, or follow it to its end.

    Example: dfray logs demo-train-1127-101500 --follow
    """
    client = _client(address)
    job = client.get(job_id)
    if follow:
        _follow(client, job.id)
    else:
        print(client.logs(job.id), end="")


@command(app, panel=CLUSTER)
def stop(job_id: JobId, address: Address = None) -> None:
    """Stop a job and wait until it has ended. Submitted again, it resumes."""
    from dfray.render import jobs as render

    client = _client(address)
    was_over = client.get(job_id).is_over
    render.show_end(client.stop(job_id), was_over=was_over)


def _client(address: str | None) -> JobClient:
    from dfray.access import dashboard_address
    from dfray.jobs.client import JobClient

    return JobClient(dashboard_address(address))


def _recipe(arguments: StageArguments) -> Recipe | None:
    if arguments.recipe is None:
        return None
    return resolve_recipe(arguments.recipe, arguments.overrides, print_only=arguments.print_recipe)


def _submit(client: JobClient, submission: Submission) -> None:
    from dfray.render import jobs as render

    render.show_submission(submission, client.address)
    try:
        client.submit(submission)
    except KeyboardInterrupt:
        render.show_interrupted(submission.job_id)
        raise SystemExit(exit_code()) from None


def _follow(client: JobClient, job_id: str) -> None:
    """Print the job's output to its end, and exit with its code."""
    from dfray.render import jobs as render

    try:
        job = client.follow(job_id, _write)
    except KeyboardInterrupt:
        render.show_detached(job_id)
        raise SystemExit(exit_code()) from None
    render.show_end(job)
    raise SystemExit(job.exit_code)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
