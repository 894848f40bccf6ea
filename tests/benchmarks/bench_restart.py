"""Time that a run needs to continue after a lost worker, against the start of a fresh run.

    python -m tests.benchmarks.bench_restart [repeats]

Wall time, of two CPU workers and a trivial network on a local Ray: all of it is starting. Of each run the
first figure is from the start of its process to its first step; the second from the SIGKILL of a worker in
its second epoch to the next step. The ratio is of their medians.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from dfray.progress import Counts
from tests.benchmarks.measure import holds
from tests.helpers.processes import ray_processes, wait_for
from tests.helpers.toy import toy_recipe, write_toy_faces

REPOSITORY = Path(__file__).parents[2]
LONGEST_RATIO = 0.7


class Steps(Counts):
    """A counting actor that remembers when it was told of which step."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[float, int, int]] = []

    def note(self, values: dict[str, Any]) -> None:
        super().note(values)
        if "step" in values:
            self.events.append((time.time(), values["epoch"], values["step"]))

    def steps(self) -> list[tuple[float, int, int]]:
        """(seconds since the epoch of the clock, epoch, step)"""
        return self.events


def run(folder: str) -> None:
    """Train, and kill a worker in the second epoch; prints when what happened."""
    import ray

    from dfray.session import session
    from dfray.training.launch import train_detector

    recipe = toy_recipe(folder, "restart", "training.epochs=2", "cluster.num_cpus=4")
    with session(recipe.cluster):
        progress = ray.remote(num_cpus=0)(Steps).remote()
        killed: list[float] = []

        def kill() -> None:
            wait_for(lambda: (ray.get(progress.steps.remote()) or [(0, 0, 0)])[-1][1] == 1)
            victim = ray_processes("ray::RayTrainWorker")[-1]
            killed.append(time.time())
            victim.kill()

        thread = threading.Thread(target=kill)
        thread.start()
        train_detector(recipe, None, stream=False, progress=progress)
        thread.join()
        steps = ray.get(progress.steps.remote())
    again = next(when for when, _, step in steps if when > killed[0] and step == 1)
    print(json.dumps({"first": steps[0][0], "killed": killed[0], "again": again}))


def measure() -> tuple[float, float]:
    """Seconds from the start of a run to its first step, and from the kill to the next one."""
    with tempfile.TemporaryDirectory(prefix="dfray-restart-") as folder:
        write_toy_faces(toy_recipe(folder, "restart"), videos=300, faces=16)
        start = time.time()
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.bench_restart", "--run", folder],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        times = json.loads(done.stdout.splitlines()[-1])
    return times["first"] - start, times["again"] - times["killed"]


def main(repeats: int) -> int:
    starts, restarts = [], []
    for _ in range(repeats):
        start, restart = measure()
        load = os.getloadavg()[0]
        print(f"start {start:.1f} s, restart {restart:.1f} s, load {load:.1f}", flush=True)
        starts.append(start)
        restarts.append(restart)
    ratio = statistics.median(restarts) / statistics.median(starts)
    title = "from SIGKILL of a worker to the next step / a fresh run's start to its first step"
    return 0 if holds(title, ratio, at_most=LONGEST_RATIO) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(sys.argv[2])
    else:
        sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 3))
