"""CPU time of one core, medians of interleaved repeats, and the bounds that a benchmark states."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path


def use_one_core() -> None:
    """Keep this process and its children to one core; say which kind."""
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    described = Path("/proc/cpuinfo").read_text()
    model = [line.split(":")[1].strip() for line in described.splitlines() if "model name" in line]
    print(f"One core of {model[0] if model else platform.machine()}; CPU time.")


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds that this process, all its threads, spends on `work()`."""
    start = time.process_time()
    work()
    return time.process_time() - start


def interleaved(ways: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each way over `repeats` rounds of all, after a round not counted."""
    return medians({name: partial(cpu_seconds, work) for name, work in ways.items()}, repeats)


def medians(clocks: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """Median of what each clock returns over `repeats` rounds of all, after a round not counted.

    In turn, so that what the machine does besides falls on all alike.
    """
    spent: dict[str, list[float]] = {name: [] for name in clocks}
    for _ in range(repeats + 1):
        for name, clock in clocks.items():
            spent[name].append(clock())
    return {name: statistics.median(seconds[1:]) for name, seconds in spent.items()}


def holds(
    title: str, value: float, *, at_least: float | None = None, at_most: float | None = None
) -> bool:
    """Print a value with its bound, return whether the bound holds."""
    is_met = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    bound = f"at least {at_least:g}" if at_least is not None else f"at most {at_most:g}"
    print(f"{title}: {value:.2f} ({bound} required): {'holds' if is_met else 'MISSED'}", flush=True)
    return is_met
