"""Front of the service: requests are admitted, given to replicas, tried again if one dies, and kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from dfray.errors import DfrayError, first_line, root_error
from dfray.service.champion import Champion, Serving
from dfray.service.measured import Measured
from dfray.service.refusal import Refusal
from dfray.service.results import Job, Results
from dfray.service.settings import ServiceSettings
from dfray.service.task import Scored, ServedModel, Task
from dfray.service.upload import Place, Upload

DEATHS = 2
"""Replicas that one file may end; then it is refused."""
_JANITOR_S = 5.0
_CLIENT_LEFT = 499
"""Status that nobody gets, for the counts: nginx's "client closed request"."""
_FAILED = {"unreadable": 422, "crashed": 422, "timed_out": 504}
"""Outcome of a file without a result -> status of the answer."""


class Front:
    """What clients talk to, in one process.

    Args:
        detector: handle of the replicas.

    Attributes:
        n_open: requests from the first byte of their upload to their end.
    """

    def __init__(self, settings: ServiceSettings, detector: Any, tracking_uri: str) -> None:
        self.settings, self._detector = settings, detector
        self.champion = Champion(settings.model, tracking_uri, self._load)
        self.results = Results(settings.keep_minutes * 60)
        self.measured = Measured()
        self.n_open = 0
        self._suspects = asyncio.Semaphore(1)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the registry and forget old results for as long as the block lasts."""
        tasks = [asyncio.create_task(self.champion.follow()), asyncio.create_task(self._tidy())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    @asynccontextmanager
    async def place(self) -> AsyncIterator[_Place]:
        """Hold a place in the queue; it is given back at the end, unless a job has taken it.

        Raises:
            Refusal: all are taken: 429.
        """
        if self.n_open >= self.settings.queue:
            raise Refusal(
                429,
                f"{self.n_open} requests are open, and no more are taken.",
                {"Retry-After": "5"},
            )
        place = _Place(self)
        try:
            yield place
        finally:
            if not place.is_taken:
                place.leave()

    def begin(self, source: Upload | Place, place: _Place, *, with_page: bool) -> Job:
        """Begin to score a file with what is served now.

        Raises:
            Refusal: nothing is served yet: 503.
        """
        serving = self.champion.require()
        job = Job(source.name)
        self.results.add(job)
        task = Task(source, serving.model, with_page)
        place.is_taken = True
        job.work = asyncio.create_task(self._run(job, task, serving, place))
        return job

    async def _run(self, job: Job, task: Task, serving: Serving, place: _Place) -> None:
        """Score a file, and keep its result or the reason why there is none."""
        try:
            async with asyncio.timeout(place.left_s()):
                job.scored = await self._scored(job, task)
            job.refusal = _refusal_of(job.scored)
        except TimeoutError:
            job.refusal = Refusal(504, f"Not done within {self.settings.timeout_s:g} s.")
        except Refusal as refusal:
            job.refusal = refusal
        except asyncio.CancelledError:
            job.refusal = Refusal(_CLIENT_LEFT, "Its client has left, or the service ended.")
            raise
        except Exception as error:
            job.refusal = _failure(error)
        finally:
            place.leave()
            job.state = "failed" if job.refusal else "done"
            job.ended = time.monotonic()
            is_current = serving is self.champion.current
            self.measured.count(job, place.age_s(), serving if is_current else None)

    async def _scored(self, job: Job, task: Task) -> Scored:
        """Score a file, again if the replica dies.

        A file that was there when a replica died is suspect, and suspects are scored one after the other: so
        the one that ends replicas is told from those that were beside it.

        Raises:
            Refusal: it has ended DEATHS replicas: 422.
        """
        try:
            return await self._attempt(job, task)
        except _deaths():
            pass
        async with self._suspects:
            for _ in range(DEATHS - 1):
                self.measured.retries.inc()
                try:
                    return await self._attempt(job, task)
                except _deaths():
                    continue
        raise Refusal(422, f"{DEATHS} processes ended while they scored it. It is not tried again.")

    async def _attempt(self, job: Job, task: Task) -> Scored:
        job.state = "queued"
        answers = self._detector.options(stream=True).score.remote(task)
        try:
            async for answer in answers:
                if isinstance(answer, Scored):
                    return answer
                job.state, job.progress = "scoring", answer
        except asyncio.CancelledError:
            answers.cancel()
            raise
        raise DfrayError("A replica ended its answer without a score.")

    async def _load(self, model: ServedModel) -> None:
        """Have a replica load and check a model."""
        for _ in range(DEATHS):
            with suppress(*_deaths()):
                await self._detector.load.remote(model)
                return
        await self._detector.load.remote(model)

    async def _tidy(self) -> None:
        while True:
            self.results.forget_old()
            await asyncio.sleep(_JANITOR_S)


class _Place:
    """A place in the queue of a front."""

    def __init__(self, front: Front) -> None:
        self._front, self._begun = front, time.monotonic()
        self.is_taken = False
        front.n_open += 1

    def leave(self) -> None:
        self._front.n_open -= 1

    def age_s(self) -> float:
        """Return the time since the request came."""
        return time.monotonic() - self._begun

    def left_s(self) -> float:
        """Return the time that is left to the request."""
        return max(0.0, self._front.settings.timeout_s - self.age_s())


def _deaths() -> tuple[type[Exception], ...]:
    """Return the errors that tell of a replica's death."""
    from ray.exceptions import NodeDiedError, RayActorError, WorkerCrashedError

    return (RayActorError, WorkerCrashedError, NodeDiedError)


def _refusal_of(scored: Scored) -> Refusal | None:
    """Return why a file has no result; a file without a face has one."""
    status = _FAILED.get(scored.score.outcome)
    return Refusal(status, scored.score.reason or scored.score.outcome) if status else None


def _failure(error: Exception) -> Refusal:
    cause = root_error(error)
    reason = str(cause) if isinstance(cause, DfrayError) else first_line(cause)
    return Refusal(500, f"The service failed: {reason}")
