"""Scores of files by actors of a Ray cluster, as they come.

Not a Ray Data plan: that begins with the list of its tasks, and a task that is run again must yield what it
yielded before. Here inputs are a stream whose end nobody knows, such as standard input or the listing of a
bucket; a file is a task of its own, tried again on another worker if its worker dies; and its one row is
handed on when it is done.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import ray
from ray.exceptions import RayActorError, RayError

from dfray.errors import EvaluationError, explain, first_line
from dfray.serving.examination import Examination
from dfray.serving.examine import Depth
from dfray.serving.inputs import MediaInput
from dfray.serving.media_score import Findings, MediaScore
from dfray.serving.score_table import FileScore, ScoringModel
from dfray.serving.score_worker import Files, ScoringWorker, SharedNetwork

if TYPE_CHECKING:
    from ray.actor import ActorHandle

IN_FLIGHT = 2
"""Files that a worker has at once: it reads one while the faces of the other are scored."""
ATTEMPTS = 2
"""Workers that may die of a file before it is given up."""
RESTARTS = 3
"""How often a lost network, and the faces that it had, are tried again."""
MAX_DEATHS = 8
"""Workers that are replaced in one run."""
_POLL_S = 0.2
_END = object()


@dataclass(frozen=True)
class Layout:
    """Processes that score together.

    Attributes:
        n_workers: that read, one CPU each.
        n_networks: shared ones; 0: each worker has its own.
        gpus: of each shared network.
    """

    n_workers: int
    n_networks: int = 0
    gpus: int = 1

    @classmethod
    def of_free(cls, n_workers: int | None) -> Self:
        """Return a layout for the CPUs and GPUs of the cluster that nothing uses."""
        free = ray.available_resources()
        return cls(n_workers or max(1, int(free.get("CPU", 1))), int(free.get("GPU", 0)))


def score_on_workers(
    files: Files,
    model: ScoringModel,
    inputs: Iterable[MediaInput],
    layout: Layout,
    worker: type[ScoringWorker] = ScoringWorker,
    depth: Depth = "score",
) -> Iterator[Examination]:
    """Yield the examination of each input, in the order in which they are done.

    Args:
        files: of the registered model.
        inputs: read no further than the workers need.
        worker: class of the workers.
        depth: what is wanted of each input; no pictures.

    Raises:
        DfrayError: what a worker raised while it started.
        EvaluationError: workers keep dying.
    """
    pool = _Pool(files, model, layout, worker, depth)
    yield from pool.scores(_Ahead(inputs, 2 * layout.n_workers))


class _Ahead:
    """Inputs that another thread reads, so that a slow source keeps no score back."""

    def __init__(self, inputs: Iterable[MediaInput], size: int) -> None:
        self._queue: queue.Queue[Any] = queue.Queue(size)
        self.is_over = False
        threading.Thread(target=self._read, args=(inputs,), daemon=True).start()

    def _read(self, inputs: Iterable[MediaInput]) -> None:
        try:
            for item in inputs:
                self._queue.put(item)
            self._queue.put(_END)
        except BaseException as error:
            self._queue.put(error)

    def next(self) -> MediaInput | None:
        """Return the next input; None: it is not there yet, or there are no more (`is_over`)."""
        if self.is_over:
            return None
        try:
            item = self._queue.get_nowait()
        except queue.Empty:
            return None
        if isinstance(item, BaseException):
            raise item
        self.is_over = item is _END
        return None if self.is_over else item


@dataclass(eq=False)
class _Worker:
    """A worker and the files that it has, by the references of their scores."""

    actor: ActorHandle
    tasks: dict[Any, MediaInput] = field(default_factory=dict)


class _Pool:
    """Workers of one run; all end when it is garbage."""

    def __init__(
        self,
        files: Files,
        model: ScoringModel,
        layout: Layout,
        worker: type[ScoringWorker],
        depth: Depth,
    ) -> None:
        self._files, self._model, self._depth = ray.put(files), model, depth
        self._class = ray.remote(num_cpus=1, max_concurrency=IN_FLIGHT)(worker)
        network = ray.remote(
            num_cpus=0,
            num_gpus=layout.gpus,
            max_concurrency=1000,
            max_restarts=RESTARTS,
            max_task_retries=RESTARTS,
        )(SharedNetwork)
        device = "cuda" if layout.gpus else "cpu"
        self._networks = [network.remote(self._files, device) for _ in range(layout.n_networks)]
        self._starting: dict[Any, _Worker] = {}
        self._workers: list[_Worker] = []
        self._again: deque[MediaInput] = deque()
        self._deaths: Counter[str] = Counter()
        self._n_started, self._most = 0, layout.n_workers + MAX_DEATHS
        for _ in range(layout.n_workers):
            self._start()

    def scores(self, inputs: _Ahead) -> Iterator[Examination]:
        """Yield the scores of all inputs."""
        while True:
            self._hand_out(inputs)
            tasks = {ref: worker for worker in self._workers for ref in worker.tasks}
            if not tasks and inputs.is_over and not self._again:
                return
            for ref in _wait([*tasks, *self._starting], None if inputs.is_over else _POLL_S):
                if ref in self._starting:
                    self._add(ref)
                else:
                    yield from self._finish(ref, tasks[ref])

    def _start(self) -> None:
        """Start a worker; it gets files once it is ready."""
        if self._n_started == self._most:
            raise EvaluationError(
                f"{MAX_DEATHS + 1} workers have died while they scored.",
                "Look at the memory and the disks of the cluster's nodes. Run again with --out: what was "
                "scored is kept.",
            )
        network = None
        if self._networks:
            network = self._networks[self._n_started % len(self._networks)]
        self._n_started += 1
        actor = self._class.remote(self._files, self._model, network, self._depth)
        self._starting[actor.load.remote()] = _Worker(actor)

    def _add(self, ref: Any) -> None:
        """Take a worker that has started."""
        worker = self._starting.pop(ref)
        try:
            ray.get(ref)
        except RayActorError:
            self._start()
            return
        except RayError as error:
            hint = "Run again with --verbose for the traceback."
            raise explain(error, EvaluationError, "A worker does not start", hint) from error
        self._workers.append(worker)

    def _hand_out(self, inputs: _Ahead) -> None:
        """Give files to the workers that have the fewest, as long as one has room.

        A file whose worker has died gets one for itself: if that dies too, it is the file's fault.
        """
        while free := [worker for worker in self._workers if self._has_room(worker)]:
            worker = min(free, key=lambda worker: len(worker.tasks))
            if self._again and not worker.tasks:
                item: MediaInput | None = self._again.popleft()
            else:
                item = inputs.next()
            if item is None:
                return
            worker.tasks[worker.actor.score.remote(item)] = item

    def _has_room(self, worker: _Worker) -> bool:
        is_suspect = any(self._deaths[item.uri] for item in worker.tasks.values())
        return len(worker.tasks) < IN_FLIGHT and not is_suspect

    def _finish(self, ref: Any, worker: _Worker) -> Iterator[Examination]:
        """Yield the score of a file, if it has one; else its worker has died, and another takes its files."""
        if worker not in self._workers:  # its death was found by another of its files
            return
        try:
            examination = ray.get(ref)
        except RayActorError as error:
            yield from self._bury(worker, error)
            return
        except RayError as error:
            hint = "Run again with --verbose for the traceback."
            raise explain(error, EvaluationError, "Scoring failed", hint) from error
        del worker.tasks[ref]
        yield examination

    def _bury(self, worker: _Worker, error: Exception) -> Iterator[Examination]:
        """Replace a worker that has died; yield the rows of its files that have killed too many."""
        self._workers.remove(worker)
        self._start()
        for item in worker.tasks.values():
            self._deaths[item.uri] += 1
            if self._deaths[item.uri] < ATTEMPTS:
                self._again.append(item)
                continue
            reason = f"{ATTEMPTS} workers died while they scored it: {first_line(error)}"
            lost = MediaScore(Findings("crashed", reason))
            yield Examination(FileScore.of(item.uri, lost, self._model))


def _wait(references: list[Any], timeout_s: float | None) -> list[Any]:
    """Return those of the references that are there, after a wait for the first of them."""
    if not references:
        time.sleep(_POLL_S)
        return []
    done: list[Any] = ray.wait(references, timeout=timeout_s)[0]
    return done
