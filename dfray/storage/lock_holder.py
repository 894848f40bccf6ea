"""Process that holds a lock, as the lock's record states it."""

from __future__ import annotations

import functools
import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

_START_TOLERANCE_S = 2.0
"""Start times of one process differ by the corrections of the clock since the machine started."""
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
        import psutil

        return cls(
            work=work,
            host=socket.gethostname(),
            machine=_this_machine(),
            pid=os.getpid(),
            started=psutil.Process().create_time(),
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            job=_ray_job(),
        )

    @classmethod
    def from_json(cls, data: bytes) -> Self | None:
        """Return the holder of a record; None: it is free, or no record."""
        try:
            return cls(**json.loads(data)) if data != FREE else None
        except (ValueError, TypeError):
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
        return self.machine == _this_machine() and self.pid == os.getpid() and not self.has_ended

    @property
    def has_ended(self) -> bool:
        """True if the process ran on this machine and is gone; False says nothing of another machine's."""
        import psutil

        if self.machine != _this_machine():
            return False
        try:
            started = psutil.Process(self.pid).create_time()
        except psutil.NoSuchProcess:
            return True
        return abs(started - self.started) > _START_TOLERANCE_S

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        return f"{self.work} (host {self.host}, pid {self.pid}{job}, since {self.since})"


@functools.cache
def _this_machine() -> str:
    """Return the identity of the machine's start and of the process namespace: what a pid is unique in."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return socket.gethostname()


def _ray_job() -> str:
    """Return the id by which a job was submitted, if this process is a job's."""
    try:
        config = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}"))
        return str(config.get("metadata", {}).get("job_submission_id", ""))
    except (ValueError, AttributeError):
        return ""
