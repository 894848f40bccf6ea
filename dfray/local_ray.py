"""Watch over a local Ray: the death of its GCS or raylet ends the work at once, and is told.

Ray itself ends the process without a word a minute after its GCS has died, and waits for ever without its
raylet.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from subprocess import PIPE, Popen

from psutil import STATUS_ZOMBIE, NoSuchProcess, Process

from dfray.errors import LocalRayError
from dfray.termination import interrupt_main_thread

_EVERY_S = 1.0
_TO_END_S = 12.0
_WATCHED = {"gcs_server": "GCS", "raylet": "raylet"}


@dataclass(frozen=True)
class LocalRay:
    """A Ray that this process has started.

    Attributes:
        processes: those that it cannot do without, by their names.
        is_used: False once this process has shut it down, whose processes end then as they should.
        shut_down: function that shuts it down.
    """

    processes: Mapping[str, Popen[bytes]]
    is_used: Callable[[], bool]
    shut_down: Callable[[], None]


def local_ray() -> LocalRay:
    """Return the Ray that this process has started, and is connected to."""
    import ray
    from ray._private import worker

    node = worker._global_node
    started = {title: node.all_processes[name][0].process for name, title in _WATCHED.items()}
    return LocalRay(started, lambda: worker.global_worker.node is node, ray.shutdown)


@contextmanager
def told_if_cut_off() -> Iterator[None]:
    """Have another process print a line if this one ends in the block, in which Ray starts.

    Ray's C++ side ends it without a word if the raylet dies while it connects, and a minute after the GCS has
    died; so this process ends itself soon after the death of either.
    """
    error = LocalRayError(
        "This process ended while the local Ray started: a process of that Ray has died, or this one was "
        "killed; memory may have run out.",
        "Run the same command again to resume, with less memory in use or fewer workers.",
    )
    script = 'read -r line || printf "dfray: failed: %s\\n" "$0" >&2'
    starting = _StartWatch()
    with Popen(["sh", "-c", script, str(error)], stdin=PIPE) as teller:
        starting.start()
        try:
            yield
        finally:
            starting.ended.set()
            teller.communicate(b"\n")


@contextmanager
def watched(local: LocalRay) -> Iterator[None]:
    """Interrupt the block when one of the local Ray's processes dies, as Ctrl-C would, and raise why.

    If the block and Ray's shutdown do not end within `_TO_END_S`, such as in a wait for what has died, the
    whole process ends, as Ray would end it, but with a line.

    Raises:
        LocalRayError: one of them has died; also in place of an error that follows from it.
    """
    watch = _Watch(local)
    watch.start()
    try:
        yield
    except BaseException as error:
        watch.block_ended.set()
        if (dead := watch.dead()) is None:
            raise
        local.shut_down()
        raise _death_of(dead) from error
    finally:
        watch.ended.set()


class _StartWatch(threading.Thread):
    """Thread that ends this process when the GCS or raylet that it has started dies, until `ended` is set."""

    def __init__(self) -> None:
        super().__init__(daemon=True, name="dfray-ray-starts")
        self.ended = threading.Event()
        self._before = (
            _children()
        )  # such as those of a Ray that was shut down and has not ended yet

    def run(self) -> None:
        started: set[Process] = set()
        while not self.ended.wait(_EVERY_S):
            children = _children()
            started |= children.keys() - self._before.keys()
            if not all(children.get(process) for process in started):
                if not self.ended.wait(_TO_END_S):  # Ray may raise what is wrong, or have ended it
                    os._exit(1)
                return


def _children() -> dict[Process, bool]:
    """Return the GCS and raylet among this process's children, and whether each is alive."""
    found = {}
    for child in Process().children():
        with suppress(NoSuchProcess):
            if child.name() in _WATCHED:
                found[child] = child.status() != STATUS_ZOMBIE
    return found


class _Watch(threading.Thread):
    """Thread that looks at the processes every second, until `ended` is set."""

    def __init__(self, local: LocalRay) -> None:
        super().__init__(daemon=True, name="dfray-local-ray")
        self.local = local
        self.block_ended, self.ended = threading.Event(), threading.Event()

    def run(self) -> None:
        while not self.ended.wait(_EVERY_S):
            if (dead := self.dead()) is not None:
                self._end(dead)
                return

    def dead(self) -> str | None:
        """Return the name of a process that has died though it is used, None if there is none."""
        processes = self.local.processes.items()
        died = next((title for title, process in processes if process.poll() is not None), None)
        return died if self.local.is_used() else None

    def _end(self, dead: str) -> None:
        if not self.block_ended.is_set():
            interrupt_main_thread()
        if not self.ended.wait(_TO_END_S):
            print(f"dfray: failed: {_death_of(dead)}", file=sys.stderr, flush=True)
            os._exit(1)


def _death_of(process: str) -> LocalRayError:
    return LocalRayError(
        f"The {process} of the local Ray has died; it may have run out of memory.",
        "Run the same command again to resume, with less memory in use or fewer workers.",
    )
