"""CPU time of this process and all that it started, Ray's included, process by process.

Looking costs this process some CPU time itself: what is measured belongs into another.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import Self

import psutil

EVERY_S = 1.0
SPAWNED = "multiprocessing"
"""Name of a process that multiprocessing started anew."""


@dataclass(frozen=True)
class Spent:
    """CPU time of one process.

    Attributes:
        name: what it is; Ray's workers are named by what they run last.
        cpu_s: its own, user and system.
    """

    name: str
    cpu_s: float


class CpuWatch:
    """Looks at all processes every second, so that those that end are counted too.

    What one spends between the last look and its end is lost.
    """

    def __init__(self) -> None:
        self._spent: dict[int, Spent] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def look(self) -> dict[int, Spent]:
        """By process id, as it is now; of those that have ended as they were last seen."""
        me = psutil.Process()
        for process in [me, *me.children(recursive=True)]:
            try:
                times = process.cpu_times()
                arguments = [word for word in process.cmdline() if word.strip()]
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            before = self._spent.get(process.pid)
            # One that is ending has no words left.
            name = _name(arguments) if arguments else before.name if before else "?"
            self._spent[process.pid] = Spent(name, times.user + times.system)
        return dict(self._spent)

    def _poll(self) -> None:
        while not self._stop.wait(EVERY_S):
            self.look()


def by_name(spent: dict[int, Spent], before: dict[int, Spent] | None = None) -> Counter[str]:
    """CPU seconds by name, less those of `before`."""
    sums: Counter[str] = Counter()
    for pid, now in spent.items():
        was = before[pid].cpu_s if before and pid in before else 0.0
        sums[now.name] += now.cpu_s - was
    return sums


def _name(command: list[str]) -> str:
    """ray::MapWorker(...) -> ray::MapWorker; python -m a.b -> a.b; /path/raylet -> raylet."""
    if "--multiprocessing-fork" in command:
        return SPAWNED
    if "-m" in command[:4]:
        return command[command.index("-m") + 1]
    arguments = command[1:] if "python" in command[0].rpartition("/")[2] else command
    script = next((word for word in arguments if not word.startswith("-")), command[0])
    title = script.partition("(")[0].partition(".__init__")[0].split() or [script]
    return title[0].rpartition("/")[2]
