"""Requests and their results, kept for some minutes under names that nobody can guess."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from dfray.service.refusal import Refusal
from dfray.service.task import Progress, Scored

PAGES_BYTES = 256 * 2**20
"""Pages that are kept in all; the oldest go first."""
State = Literal["queued", "scoring", "done", "failed"]


@dataclass
class Job:
    """One request to score.

    Attributes:
        name: of the file, as the client calls it.
        id: 256 bits from the system's source of randomness.
        progress: what was looked at so far.
        scored: its score, also of a file that could not be read.
        refusal: why it failed.
        ended: when it was done or failed, of `time.monotonic`.
        work: the task that scores it.
    """

    name: str
    id: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    state: State = "queued"
    progress: Progress = field(default_factory=lambda: Progress(0))
    scored: Scored | None = None
    refusal: Refusal | None = None
    ended: float | None = None
    work: asyncio.Task[None] | None = None

    @property
    def page(self) -> bytes | None:
        return self.scored.page if self.scored else None

    def document(self) -> dict[str, Any]:
        """Return what clients see of it as JSON."""
        values: dict[str, Any] = {"id": self.id, "state": self.state, "input": self.name}
        if self.state in ("queued", "scoring"):
            values["progress"] = {
                "frames": self.progress.n_frames,
                "time_s": self.progress.time_s,
            }
        if self.refusal is not None:
            values |= {"status": self.refusal.status, "reason": self.refusal.reason}
        if self.scored is not None:
            values["score"] = self.scored.score.row()
        return values


class Results:
    """Jobs by their ids, until they have been over for some time.

    Args:
        keep_s: how long they are kept after their end.
    """

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def add(self, job: Job) -> None:
        self._jobs[job.id] = job

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            Refusal: it never was, or is over for too long: 404.
        """
        self.forget_old()
        job = self._jobs.get(job_id)
        if job is None:
            minutes = f"{self._keep_s / 60:g} min"
            raise Refusal(404, f"There is no such result; they are kept for {minutes}.")
        return job

    def forget_old(self) -> None:
        """Forget the jobs whose time is over, and the oldest pages if they are too much together."""
        now, n_bytes = time.monotonic(), 0
        for job in reversed(list(self._jobs.values())):
            if job.ended is not None and now - job.ended > self._keep_s:
                del self._jobs[job.id]
                continue
            n_bytes += len(job.page or b"")
            if job.scored is not None and job.page and n_bytes > PAGES_BYTES:
                job.scored = replace(job.scored, page=None)

    def __len__(self) -> int:
        return len(self._jobs)
