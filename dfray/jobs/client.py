"""Client of Ray's Jobs API; no other file uses that API."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import platform
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dfray import access, storage
from dfray.errors import ClusterError, JobError, UserError, did_you_mean
from dfray.jobs.environment import STOP_S
from dfray.jobs.info import JobInfo
from dfray.jobs.submission import Submission

T = TypeVar("T")

_AWAY_S = 60.0
"""Seconds that a dashboard may be unreachable before a call fails."""
_SILENT_S = 60.0
"""Seconds without output after which the log's connection is renewed; a lost head sends nothing either."""
_PAUSE_S = 1.0
_NOISY_LOGGERS = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
"""Loggers of Ray that log every upload and connection."""


class JobClient:
    """Jobs of the cluster whose dashboard is at `address`.

    Raises:
        ClusterError: it does not answer, refuses the token, or runs another version of Ray.
    """

    def __init__(self, address: str) -> None:
        access.require_dashboard(address)
        access.use_token(own=False)
        from ray.job_submission import JobSubmissionClient

        for name in _NOISY_LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        self.address = address
        self._client = JobSubmissionClient(address, headers=access.authorization())

    def is_same_machine(self) -> bool:
        """Return whether every node of the cluster is this machine, by host name."""
        request = urllib.request.Request(
            f"{self.address}/nodes?view=hostNameList", headers=access.authorization()
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            names = json.load(answer)["data"]["hostNameList"]
        return set(names) == {platform.node()}

    def submit(self, submission: Submission) -> None:
        """Upload the package, unless the cluster has one of the same content, and start the job.

        Raises:
            UserError: another job uses the run's folder.
            JobError: the cluster refused the job.
        """
        self._require_idle(submission.metadata.get("dfray.folder"))
        variables = submission.variables | {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_S)}
        if not access.is_on():
            variables["RAY_AUTH_MODE"] = os.environ["RAY_AUTH_MODE"]
        with storage.temporary_folder() as folder:
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
        """Check that no running job uses the folder: two would overwrite each other's files."""
        for job in self.list_jobs() if folder else []:
            if job.folder == folder and not job.is_over:
                raise UserError(
                    f"Job {job.id} of {job.user} already uses {folder}.",
                    f"Follow it with `dfray logs {job.id} --follow`, end it with `dfray stop {job.id}`, "
                    "or give this run a name of its own (name=...).",
                )

    def list_jobs(self) -> list[JobInfo]:
        """Return every submitted job, newest first."""
        listed = self._ask(self._client.list_jobs)
        jobs = [JobInfo.of(details) for details in listed if details.submission_id]
        return sorted(jobs, key=lambda job: job.started_s or 0, reverse=True)

    def get(self, job_id: str) -> JobInfo:
        """Return the job of that id.

        Raises:
            UserError: there is no such job; the nearest id is suggested.
        """
        jobs = {job.id: job for job in self.list_jobs()}
        if job_id not in jobs:
            raise UserError(
                f"The cluster at {self.address} has no job {job_id!r}.",
                f"{did_you_mean(job_id, jobs)} `dfray jobs` lists them.".strip(),
            )
        return jobs[job_id]

    def logs(self, job_id: str) -> str:
        """Return the output of the job so far."""
        log: str = self._ask(lambda: self._client.get_job_logs(job_id))
        return log

    def follow(self, job_id: str, write: Callable[[str], object]) -> JobInfo:
        """Pass the output of the job to `write`, from its first line to its last, and return the job.

        A broken connection is renewed, and nothing is written twice.

        Raises:
            JobError: the dashboard stays unreachable; the job may be running still.
        """
        written = 0

        def write_new(text: str, end: int) -> None:
            """Write what is new in `text`, which ends at character `end` of the log."""
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
        """Pass on the log from its first line, until the connection ends or is silent for _SILENT_S."""
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

    def stop(self, job_id: str) -> JobInfo:
        """Stop the job, wait until it has ended, and return it; a job that is over stays as it is.

        Raises:
            JobError: it has not ended in STOP_S + _AWAY_S seconds.
        """
        job = self.get(job_id)
        if job.is_over:
            return job
        self._ask(lambda: self._client.stop_job(job_id))
        end = time.monotonic() + STOP_S + _AWAY_S
        while not (job := self.get(job_id)).is_over:
            if time.monotonic() > end:
                raise JobError(
                    f"Job {job_id} was asked to stop and has not ended for {STOP_S + _AWAY_S:g} s.",
                    f"Look at `dfray logs {job_id}`, and stop it again.",
                )
            time.sleep(_PAUSE_S)
        return job

    def _ask(self, question: Callable[[], T]) -> T:
        """Return the answer of the cluster, which may be unreachable for up to _AWAY_S."""
        import requests
        import tenacity

        away = (requests.RequestException, ClusterError)

        def ask() -> T:
            access.require_dashboard(self.address)  # it has a timeout; Ray's client has none
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
                "The job may be running still: `dfray jobs` shows it once the cluster is back.",
            ) from error
        except (RuntimeError, ValueError) as error:
            raise JobError(f"The cluster at {self.address} refuses: {error}") from error
