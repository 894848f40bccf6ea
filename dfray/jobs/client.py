"""The jobs of a cluster, through Ray's Jobs API: the only file that knows it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import platform
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfray import access
from dfray.errors import ClusterError, JobError, UserError, did_you_mean
from dfray.jobs.environment import STOP_S
from dfray.jobs.submission import Submission

if TYPE_CHECKING:
    from ray.job_submission import JobDetails

_AWAY_S = 60.0
"""How long a dashboard may be away before it is given up."""
_SILENT_S = 60.0
"""How long a job may print nothing before its connection is made again; a lost head says nothing either."""
_PAUSE_S = 1.0
_TALKERS = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
"""Loggers of Ray that tell of every upload and connection."""


@dataclass(frozen=True)
class Job:
    """A submitted job.

    Attributes:
        stage, recipe, user, fingerprint: empty if it was not dfray that submitted it.
        folder: URI of the run's folder; empty if it has none.
        state: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
        started_s, ended_s: seconds since 1970.
        message: what Ray says of its state.
    """

    id: str
    stage: str
    recipe: str
    user: str
    fingerprint: str
    folder: str
    state: str
    started_s: float | None
    ended_s: float | None
    message: str
    driver_exit_code: int | None

    @property
    def is_over(self) -> bool:
        return self.state in ("STOPPED", "SUCCEEDED", "FAILED")

    @property
    def exit_code(self) -> int:
        """As a shell would give it for the job's own process; 143 if it was stopped."""
        if self.state == "STOPPED":
            return 143
        code = self.driver_exit_code
        if code is None:
            return 0 if self.state == "SUCCEEDED" else 1
        return code if code >= 0 else 128 - code

    @property
    def age_s(self) -> float | None:
        return None if self.started_s is None else time.time() - self.started_s

    @property
    def duration_s(self) -> float | None:
        if self.started_s is None:
            return None
        return (self.ended_s or time.time()) - self.started_s


class Jobs:
    """The jobs of the cluster whose dashboard is at `address`.

    Raises:
        ClusterError: it does not answer, refuses the token, or runs another Ray.
    """

    def __init__(self, address: str) -> None:
        access.require_dashboard(address)
        access.use_token(own=False)
        from ray.job_submission import JobSubmissionClient

        for name in _TALKERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        self.address = address
        self._client = JobSubmissionClient(address, headers=access.authorization())

    def is_here(self) -> bool:
        """Whether every node of the cluster is this machine, by the names of the machines."""
        asked = urllib.request.Request(
            f"{self.address}/nodes?view=hostNameList", headers=access.authorization()
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            names = json.load(answer)["data"]["hostNameList"]
        return set(names) == {platform.node()}

    def submit(self, submission: Submission) -> None:
        """Upload the package, if the cluster has none of the same content, and start the job.

        Raises:
            UserError: another job works in the run's folder.
            JobError: the cluster refused it.
        """
        self._require_idle(submission.metadata.get("dfray.folder"))
        variables = submission.variables | {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_S)}
        if not access.is_on():
            variables["RAY_AUTH_MODE"] = os.environ["RAY_AUTH_MODE"]
        with tempfile.TemporaryDirectory(prefix="dfray-job-") as folder:
            package = Path(folder, "package.zip")
            submission.package.write(package)
            self._ask(
                lambda: self._client.submit_job(
                    submission_id=submission.job_id,
                    entrypoint=submission.entrypoint,
                    runtime_env={"working_dir": str(package), "env_vars": variables},
                    metadata=submission.metadata,
                )
            )

    def _require_idle(self, folder: str | None) -> None:
        """Two jobs in one run's folder would write over each other's files."""
        for job in self.list() if folder else []:
            if job.folder == folder and not job.is_over:
                raise UserError(
                    f"Job {job.id} of {job.user} works in {folder} already.",
                    f"Follow it with `dfray logs {job.id} --follow`, end it with `dfray stop {job.id}`, "
                    "or give this run a name of its own (name=...).",
                )

    def list(self) -> list[Job]:
        """Every submitted job, the latest first."""
        found = self._ask(self._client.list_jobs)
        jobs = [_job(details) for details in found if details.submission_id]
        return sorted(jobs, key=lambda job: job.started_s or 0, reverse=True)

    def get(self, job_id: str) -> Job:
        """
        Raises:
            UserError: there is no such job; the nearest is named.
        """
        jobs = {job.id: job for job in self.list()}
        if job_id not in jobs:
            raise UserError(
                f"The cluster at {self.address} has no job {job_id!r}.",
                f"{did_you_mean(job_id, jobs)} `dfray jobs` lists them.".strip(),
            )
        return jobs[job_id]

    def logs(self, job_id: str) -> str:
        """What the job has printed so far."""
        return self._ask(lambda: self._client.get_job_logs(job_id))

    def follow(self, job_id: str, write: Callable[[str], Any]) -> Job:
        """Hand what the job prints to `write`, from its first line to its last; then the job.

        A connection that breaks is made again, and nothing is written twice.

        Raises:
            JobError: the dashboard stays away; the job may be running still.
        """
        written = 0

        def write_new(text: str, end: int) -> None:
            """The part of `text`, which ends at character `end` of the log, that is not yet written."""
            nonlocal written
            if end > written:
                write(text[written - end :])
                written = end

        while not (job := self.get(job_id)).is_over:
            asyncio.run(self._tail(job_id, write_new))
        log = self.logs(job_id)
        write_new(log, len(log))
        return job

    async def _tail(self, job_id: str, write: Callable[[str, int], None]) -> None:
        """Hand on the log from its first line, until the connection ends or is silent for _SILENT_S."""
        import aiohttp

        end = 0
        lines = self._client.tail_job_logs(job_id)
        with contextlib.suppress(
            StopAsyncIteration, TimeoutError, RuntimeError, aiohttp.ClientError, OSError
        ):
            while True:
                text = await asyncio.wait_for(anext(lines), _SILENT_S)
                end += len(text)
                write(text, end)
        await asyncio.sleep(_PAUSE_S)

    def stop(self, job_id: str) -> Job:
        """Stop the job and wait until it has ended; one that is over stays as it is.

        Raises:
            JobError: it has not ended in time.
        """
        job = self.get(job_id)
        if job.is_over:
            return job
        self._ask(lambda: self._client.stop_job(job_id))
        end = time.monotonic() + STOP_S + _AWAY_S
        while not (job := self.get(job_id)).is_over:
            if time.monotonic() > end:
                raise JobError(
                    f"Job {job_id} was told to stop and has not ended for {STOP_S + _AWAY_S:g} s.",
                    f"Look at `dfray logs {job_id}`, and stop it again.",
                )
            time.sleep(_PAUSE_S)
        return job

    def _ask(self, question: Callable[[], Any]) -> Any:
        """The cluster's answer; it may be away for _AWAY_S."""
        import requests
        import tenacity

        away = (requests.RequestException, ClusterError)

        def ask() -> Any:
            access.require_dashboard(self.address)  # it has a limit in time; Ray's client has none
            return question()

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(away),
            wait=tenacity.wait_fixed(_PAUSE_S),
            stop=tenacity.stop_after_delay(_AWAY_S),
            reraise=True,
        )
        try:
            return retrying(ask)
        except away as error:
            raise JobError(
                f"The cluster no longer answers: {error}",
                "A job there may be running still: `dfray jobs` tells once it is back.",
            ) from error
        except (RuntimeError, ValueError) as error:
            raise JobError(f"The cluster at {self.address} refuses: {error}") from error


def _job(details: JobDetails) -> Job:
    said = details.metadata or {}
    start, end = details.start_time, details.end_time
    return Job(
        id=details.submission_id,
        stage=said.get("dfray.stage", ""),
        recipe=said.get("dfray.recipe", ""),
        user=said.get("dfray.user", ""),
        fingerprint=said.get("dfray.fingerprint", ""),
        folder=said.get("dfray.folder", ""),
        state=details.status.value,
        started_s=start / 1000 if start else None,
        ended_s=end / 1000 if end else None,
        message=details.message or "",
        driver_exit_code=details.driver_exit_code,
    )
