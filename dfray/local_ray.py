"""Watch over a local Ray: the death of its GCS or raylet ends the work at once, and is told.

Ray itself ends the process without a word a minute after its GCS has died, and waits for ever without its
raylet.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from subprocess import Popen

from dfray.errors import LocalRayError
from dfray.termination import interrupt_main_thread

_EVERY_S = 1.0
_TO_END_S = 12.0
_WATCHED = {"gcs_server": "GCS", "raylet": "raylet"}


def node_processes() -> dict[str, Popen[bytes]]:
    """Return the GCS and the raylet that this process has started, by their names."""
    from ray._private import worker

    started = worker._global_node.all_processes
    return {title: started[name][0].process for name, title in _WATCHED.items()}


@contextmanager
def watched(processes: Mapping[str, Popen[bytes]]) -> Iterator[None]:
    """Interrupt the block when one of the local Ray's processes dies, as Ctrl-C would, and raise why.

    If the block and Ray's shutdown do not end within `_TO_END_S`, such as in a wait for what has died, the
    whole process ends, as Ray would end it, but with a line.

    Raises:
        LocalRayError: one of them has died; also in place of an error that follows from it.
    """
    watch = _Watch(processes)
    watch.start()
    try:
        yield
    except BaseException as error:
        if watch.died() is None:
            raise
        _shut_down()
        raise watch.error() from error
    finally:
        watch.ended.set()


class _Watch(threading.Thread):
    """Thread that looks at the processes every second, until `ended` is set."""

    def __init__(self, processes: Mapping[str, Popen[bytes]]) -> None:
        super().__init__(daemon=True, name="dfray-local-ray")
        self.processes, self.ended = processes, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(_EVERY_S):
            if self.died() is not None:
                self._end()
                return

    def died(self) -> str | None:
        """Return the name of a process that has died, None while all live."""
        dead = (title for title, process in self.processes.items() if process.poll() is not None)
        return next(dead, None)

    def error(self) -> LocalRayError:
        """Return the error of the process that has died."""
        return LocalRayError(
            f"The {self.died()} of the local Ray has died; it may have run out of memory.",
            "Run the same command again to resume, with less memory in use or fewer workers.",
        )

    def _end(self) -> None:
        interrupt_main_thread()
        if not self.ended.wait(_TO_END_S):
            print(f"dfray: failed: {self.error()}", file=sys.stderr, flush=True)
            os._exit(1)


def _shut_down() -> None:
    import ray

    ray.shutdown()
