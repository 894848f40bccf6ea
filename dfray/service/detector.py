"""Detector: the Serve deployment whose replicas read and score files."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

from dfray.faces.supervise import Bounds
from dfray.service.loaded_model import LoadedModel, Models
from dfray.service.task import Progress, Scored, ServedModel, Task

APPLICATION = "dfray"
ONGOING = 4
"""Requests that a replica works on at once: one is read, others wait for the network or for their turn."""
_EVERY_S = 0.25


class Detector:
    """Replica that scores files in one child process, and their faces in batches across requests.

    Args:
        bounds: of each file.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds, self._models = bounds, Models()

    async def load(self, model: ServedModel) -> None:
        """Load and check a model beside those that are served.

        Raises:
            DfrayError: it cannot be loaded.
        """
        self._models.release(await self._get(model))

    async def score(self, task: Task) -> AsyncIterator[Progress | Scored]:
        """Yield how far the work on a file is, and at last its score.

        Raises:
            DfrayError: the model cannot be loaded, or the file be read from the object store.
        """
        model = await self._get(task.model)
        progress, ended = _Latest(), threading.Event()
        work = asyncio.create_task(asyncio.to_thread(_scored, model, task, progress, ended))
        work.add_done_callback(lambda _: self._models.release(model))
        try:
            while not (await asyncio.wait([work], timeout=_EVERY_S))[0]:
                if (seen := progress.take()) is not None:
                    yield seen
            yield work.result()
        finally:
            ended.set()  # also when the front has given up

    async def _get(self, served: ServedModel) -> LoadedModel:
        loop = asyncio.get_running_loop()

        def load() -> LoadedModel:
            import ray

            return LoadedModel(ray.get(served.files), served.model, self._bounds, loop)

        return await self._models.get(served.key, load)

    def __del__(self) -> None:
        self._models.close()


def _scored(model: LoadedModel, task: Task, progress: _Latest, ended: threading.Event) -> Scored:
    """Score a file in this thread, unless the request has ended before its turn came."""

    def watch(seen: Progress) -> bool:
        progress.put(seen)
        return not ended.is_set()

    with task.source.opened() as path:
        return model.scored(path, task.source.name, watch, with_page=task.with_page)


class _Latest:
    """The latest progress that nobody has taken yet."""

    def __init__(self) -> None:
        self._seen: Progress | None = None

    def put(self, seen: Progress) -> None:
        self._seen = seen

    def take(self) -> Progress | None:
        seen, self._seen = self._seen, None
        return seen


def detector_application(detector: type[Detector], bounds: Bounds, replicas: int) -> Any:
    """Return the bound deployment, with a share of the cluster's GPUs, if it has any, for each replica."""
    import ray
    from ray import serve

    n_gpus = ray.cluster_resources().get("GPU", 0.0) if ray.is_initialized() else 0.0
    deployment = serve.deployment(
        detector,
        name="Detector",
        num_replicas=replicas,
        max_ongoing_requests=ONGOING,
        ray_actor_options={"num_cpus": 1, "num_gpus": _share(n_gpus, replicas)},
        health_check_period_s=1,
        graceful_shutdown_timeout_s=5,
    )
    return deployment.bind(bounds)


def _share(n_gpus: float, replicas: int) -> float:
    """Return the GPUs of each replica: one, or a part of one if there are more replicas than GPUs."""
    return min(1.0, int(1000 * n_gpus / replicas) / 1000)
