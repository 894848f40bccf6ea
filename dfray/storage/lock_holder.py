"""Process that holds a lock, as the lock's record states it."""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Self

from dfray.storage.process_identity import has_ended, start_time, this_machine

FREE = b"{}"
"""Record of a lock that nobody holds."""


@dataclass(frozen=True)
class Holder:
    """Process that holds a lock.

    Attributes:
        work: the work that it is held for, such as NAME/KEY of a run.
        machine: identity of the start of the machine and of its process namespace.
        started: time at which the process started, UNIX seconds.
        since: time at which the lock was taken, UTC, ISO 8601.
        job: id of the Ray job that the process belongs to; empty: none.
        renewals: number of times that the lock was renewed.
    """

    work: str
    host: str
    machine: str
    pid: int
    started: float
    since: str
    job: str = ""
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    renewals: int = 0

    @classmethod
    def this_process(cls, work: str) -> Self:
        """Return this process as a new holder."""
        return cls(
            work=work,
            host=socket.gethostname(),
            machine=this_machine(),
            pid=os.getpid(),
            started=start_time(os.getpid()) or 0.0,
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            job=_ray_job(),
        )

    @classmethod
    def from_json(cls, data: bytes) -> Self | None:
        """Return the holder of a record; None: it is free, or no record."""
        try:
            return cls(**json.loads(data)) if data != FREE else None
        except (ValueError, TypeError, RecursionError):
            return None

    def to_json(self) -> bytes:
        """Return the record."""
        return json.dumps(asdict(self)).encode()

    @property
    def end_command(self) -> str:
        """Command that ends the process, in backquotes, with the host to give it on."""
        return f"`dfray stop {self.job}`" if self.job else f"`kill {self.pid}` on {self.host}"

    @property
    def is_this_process(self) -> bool:
        """True if the process is the one that asks."""
        return self.machine == this_machine() and self.pid == os.getpid() and not self.has_ended

    @property
    def has_ended(self) -> bool:
        """True if the process ran on this machine and is gone; False says nothing of another machine's."""
        return self.machine == this_machine() and has_ended(self.pid, self.started)

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        return f"{self.work} (host {self.host}, pid {self.pid}{job}, since {self.since})"


def _ray_job() -> str:
    """Return the id by which a job was submitted, if this process is a job's."""
    try:
        config = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}"))
        return str(config.get("metadata", {}).get("job_submission_id", ""))
    except (ValueError, AttributeError):
        return ""
