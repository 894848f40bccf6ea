"""Health of the service: whether it can score, and what is amiss."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dfray.service.detector import APPLICATION

if TYPE_CHECKING:
    from dfray.service.front import Front


@dataclass(frozen=True)
class Health:
    """State of a service.

    Attributes:
        model: what is served, models:/NAME/VERSION; None: nothing.
        since: when it was loaded.
        fault: why the registry's version is not served; None: it is.
        replicas: that run.
        n_open, queue: requests that are open, and most of them.
    """

    model: str | None
    since: str | None
    fault: str | None
    replicas: int
    n_open: int
    queue: int

    @property
    def is_failed(self) -> bool:
        return self.model is None or not self.replicas

    @property
    def status(self) -> str:
        return "failed" if self.is_failed else "degraded" if self.fault else "ok"

    def document(self, *, in_full: bool) -> dict[str, Any]:
        """Return it as JSON; in full for those who show the token."""
        if not in_full:
            return {"status": self.status}
        return {
            "status": self.status,
            "model": self.model,
            "since": self.since,
            "fault": self.fault,
            "replicas": self.replicas,
            "open_requests": self.n_open,
            "queue": self.queue,
        }


async def health_of(front: Front) -> Health:
    """Return the state of a front and of its replicas."""
    serving = front.champion.current
    return Health(
        model=str(serving.model.model) if serving else None,
        since=serving.since if serving else None,
        fault=front.champion.fault,
        replicas=await asyncio.to_thread(_running_replicas),
        n_open=front.n_open,
        queue=front.settings.queue,
    )


def _running_replicas() -> int:
    from ray import serve

    application = serve.status().applications.get(APPLICATION)
    deployment = application and application.deployments.get("Detector")
    return deployment.replica_states.get("RUNNING", 0) if deployment else 0
