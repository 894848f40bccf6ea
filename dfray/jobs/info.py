"""State of one job, from Ray's job details."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray.job_submission import JobDetails

_STOPPED_EXIT_CODE = 143  # a shell's, for SIGTERM


@dataclass(frozen=True)
class JobInfo:
    """A submitted job.

    Attributes:
        stage, recipe, user, fingerprint: empty if it was submitted without dfray.
        folder: URI of the run's folder; empty if it has none.
        state: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
        started_s, ended_s: seconds since 1970.
        message: Ray's text on the state.
        driver_exit_code: of the job's process; none until it has ended, or if it was lost.
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

    @classmethod
    def of(cls, details: JobDetails) -> JobInfo:
        """Return the state of the job that Ray's details describe."""
        metadata = details.metadata or {}
        start, end = details.start_time, details.end_time  # milliseconds
        return cls(
            id=details.submission_id or "",
            stage=metadata.get("dfray.stage", ""),
            recipe=metadata.get("dfray.recipe", ""),
            user=metadata.get("dfray.user", ""),
            fingerprint=metadata.get("dfray.fingerprint", ""),
            folder=metadata.get("dfray.folder", ""),
            state=details.status.value,
            started_s=start / 1000 if start else None,
            ended_s=end / 1000 if end else None,
            message=details.message or "",
            driver_exit_code=details.driver_exit_code,
        )

    @property
    def is_over(self) -> bool:
        """True once the job has stopped, succeeded or failed."""
        return self.state in ("STOPPED", "SUCCEEDED", "FAILED")

    @property
    def exit_code(self) -> int:
        """Exit code as a shell would give it for the job's process; 143 if it was stopped."""
        if self.state == "STOPPED":
            return _STOPPED_EXIT_CODE
        code = self.driver_exit_code
        if code is None:
            return 0 if self.state == "SUCCEEDED" else 1
        return code if code >= 0 else 128 - code

    @property
    def age_s(self) -> float | None:
        """Seconds since the start."""
        return None if self.started_s is None else time.time() - self.started_s

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end, or to now."""
        if self.started_s is None:
            return None
        return (self.ended_s or time.time()) - self.started_s
