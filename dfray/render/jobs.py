"""What the commands about jobs print; the job's own words are on stdout, these are on stderr."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from dfray.jobs.client import Job
    from dfray.jobs.submission import Submission

_out = Console(soft_wrap=True, highlight=False)
_aside = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


def submission(one: Submission, address: str) -> None:
    """What goes where; the names of variables alone, as their values may be secrets."""
    from dfray.jobs.package import mib

    files = f"{len(one.package.files):,} files, {mib(one.package.size_bytes)}"
    _aside.print(f"job          {one.job_id}")
    _aside.print(f"cluster      {address}")
    _aside.print(f"working dir  {files}")
    _aside.print(f"environment  {', '.join(sorted(one.variables)) or 'nothing'}")


def jobs(found: list[Job], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(job) | {"duration_s": job.duration_s} for job in found], indent=2))
        return
    if not found:
        _aside.print("The cluster has had no job yet; `dfray submit` starts one.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "stage", "recipe", "user", "state", "age", "duration"):
        table.add_column(column, no_wrap=column == "id", overflow="fold")
    for job in found:
        words = (job.id, job.stage or "–", job.recipe or "–", job.user or "–", job.state)
        table.add_row(*words, _span(job.age_s), _span(job.duration_s))
    _out.print(table)


def interrupted(job_id: str) -> None:
    _aside.print(f"\nStopped while job {job_id} was being submitted.")
    _aside.print("`dfray jobs` tells whether the cluster has it; if not, submit it again.")


def detached(job_id: str) -> None:
    _aside.print(f"\nDetached; job {job_id} goes on.")
    _aside.print(f"Come back to it with `dfray logs {job_id} --follow`, or `dfray stop {job_id}`.")


def ended(job: Job, *, was_over: bool = False) -> None:
    took = f" after {_span(job.duration_s)}"
    if was_over:
        _aside.print(f"Job {job.id} was over already: {job.state}{took}.")
    elif job.state == "SUCCEEDED":
        _aside.print(f"✓ job {job.id} has succeeded{took}.")
    elif job.state == "STOPPED":
        _aside.print(f"Job {job.id} was stopped{took}. Submit it again to go on from there.")
    else:
        _aside.print(f"Job {job.id} has failed{took}{_why(job)}.")
        _aside.print("Finished work is kept: once the cause is mended, submit it again to go on.")


def _why(job: Job) -> str:
    """Its exit code, as the log has told the rest; or Ray's reason for what never started or was lost."""
    if job.driver_exit_code is not None:
        return f" with exit code {job.exit_code}"
    return f": {job.message.strip().splitlines()[-1].rstrip('.')}" if job.message.strip() else ""


def _span(seconds: float | None) -> str:
    return "–" if seconds is None else str(timedelta(seconds=round(seconds)))
