"""Jobs of a cluster: the list on stdout; events of one job on stderr, as stdout has the job's output."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

from dfray.render.tables import PlainConsole, console, new_table
from dfray.text import visible_line

if TYPE_CHECKING:
    from dfray.jobs.info import JobInfo
    from dfray.jobs.package import Package
    from dfray.jobs.submission import Submission

_err = PlainConsole(
    stderr=True, soft_wrap=True, record=True, highlight=False, markup=False, emoji=False
)


def show_submission(submission: Submission, address: str) -> None:
    """Print id, cluster, package size and names of variables; their values may be secrets."""
    from dfray.jobs.package import mib

    files = f"{len(submission.package.files):,} files, {mib(submission.package.size_bytes)}"
    _err.print(f"job          {submission.job_id}")
    _err.print(f"cluster      {address}")
    _err.print(f"working dir  {files}")
    _err.print(f"environment  {', '.join(sorted(submission.variables)) or 'nothing'}")
    if submission.withheld:
        _err.print(
            f"not sent     {', '.join(submission.withheld)}: the nodes have their own (cluster/README.md); "
            "--env NAME sends one"
        )
    if names := submission.package.withheld:
        _err.print(f"not sent     {len(names):,} files that may hold secrets, or links: --list")


def show_package(package: Package) -> None:
    """Print the files that a job would get, and those that may hold secrets and stay here."""
    from dfray.jobs.package import mib

    for name in sorted(package.files):
        console.print(visible_line(name), highlight=False)
    for name, reason in sorted(package.withheld.items()):
        _err.print(f"not sent     {visible_line(name)}: {reason}")
    _err.print(f"{len(package.files):,} files, {mib(package.size_bytes)}")


def show_jobs(jobs: list[JobInfo], *, as_json: bool = False) -> None:
    """Print a table of jobs."""
    if as_json:
        print(json.dumps([asdict(job) | {"duration_s": job.duration_s} for job in jobs], indent=2))
        return
    if not jobs:
        _err.print("The cluster has had no job yet; `dfray submit` starts one.")
        return
    table = new_table("id", "stage", "recipe", "user", "state", "age", "duration")
    table.columns[0].no_wrap = True
    for job in jobs:
        cells = (job.id, job.stage or "–", job.recipe or "–", job.user or "–", job.state)
        table.add_row(*cells, _span(job.age_s), _span(job.duration_s))
    console.print(table, highlight=False)


def show_interrupted(job_id: str) -> None:
    """Print what to do after Ctrl-C during a submission."""
    _err.print(f"\nStopped while job {job_id} was being submitted.")
    _err.print("`dfray jobs` shows whether the cluster has it; if not, submit it again.")


def show_detached(job_id: str) -> None:
    """Print how to follow or stop a job after Ctrl-C."""
    _err.print(f"\nDetached; job {job_id} continues to run.")
    _err.print(f"Follow it with `dfray logs {job_id} --follow`, or stop it: `dfray stop {job_id}`.")


def show_end(job: JobInfo, *, was_over: bool = False) -> None:
    """Print how a job ended.

    Args:
        was_over: it had ended before the command.
    """
    duration = f" after {_span(job.duration_s)}"
    if was_over:
        _err.print(f"Job {job.id} was over already: {job.state}{duration}.")
    elif job.state == "SUCCEEDED":
        _err.print(f"✓ job {job.id} has succeeded{duration}.")
    elif job.state == "STOPPED":
        _err.print(f"Job {job.id} was stopped{duration}. Submit it again{_resume(job)} to resume.")
    else:
        _err.print(f"Job {job.id} has failed{duration}{_reason(job)}.")
        _err.print(
            f"Finished work is kept: correct the cause and submit it again{_resume(job)} to resume."
        )


def _resume(job: JobInfo) -> str:
    """Return the option that a search needs to go on."""
    return " with --resume" if job.stage == "search" else ""


def _reason(job: JobInfo) -> str:
    """Return the exit code, or Ray's reason for a job that never started or was lost."""
    if job.driver_exit_code is not None:
        return f" with exit code {job.exit_code}"
    return f": {job.message.strip().splitlines()[-1].rstrip('.')}" if job.message.strip() else ""


def _span(seconds: float | None) -> str:
    return "–" if seconds is None else str(timedelta(seconds=round(seconds)))
