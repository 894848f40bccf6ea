"""Extraction by two workers against one, each worker kept to a core of its own.

    python -m tests.benchmarks.bench_scaling

The same videos through Ray Data into an empty store, with one worker and with two, by turns. Every worker
takes the next free core for itself and its child, and waits until all workers are ready: the clock runs
from there to the last commit, so that Ray's start and the workers' are not in it. Wall time, medians, with
the machine's load beside each: it says something only where the two cores are free.

Asked for, on two free cores: two workers at least 1.6 x as fast as one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from dfray.config import ClusterSection, FacesSection
from dfray.faces.extract import write_faces
from dfray.faces.supervise import SupervisedExtractor
from dfray.session import session
from tests.benchmarks.bench_stage import make_videos
from tests.benchmarks.measure import holds

SETTINGS = FacesSection(shard_mb=4)
BOUND, FREE_LOAD, PATIENCE_S = 1.6, 0.5, 120.0


class Pinned:
    """Builds an extractor on a core of its own, once all `workers` have one."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder, self.workers = folder, workers
        self.cores = sorted(os.sched_getaffinity(0))[:workers]

    def __call__(self, settings: FacesSection) -> SupervisedExtractor:
        self._keep_to_a_core()
        extractor = SupervisedExtractor(settings)
        (self.folder / f"ready-{os.getpid()}").touch()
        give_up = time.monotonic() + PATIENCE_S
        while len(self._ready()) < self.workers:
            if time.monotonic() > give_up:
                raise RuntimeError(f"only {len(self._ready())} of {self.workers} workers came")
            time.sleep(0.01)
        return extractor

    def started_s(self) -> float:
        """When the last worker was ready, in the clock of files."""
        return max(path.stat().st_mtime for path in self._ready())

    def _ready(self) -> list[Path]:
        return list(self.folder.glob("ready-*"))

    def _keep_to_a_core(self) -> None:
        for core in self.cores:
            try:
                (self.folder / f"core-{core}").touch(exist_ok=False)
            except FileExistsError:
                continue
            for thread in os.listdir("/proc/self/task"):
                os.sched_setaffinity(int(thread), {core})
            return
        raise RuntimeError("more workers than cores")


def seconds(videos: pa.Table, folder: Path, workers: int) -> float:
    """Wall seconds from all workers ready to the last commit."""
    (folder / "workers").mkdir(parents=True)
    pinned = Pinned(folder / "workers", workers)
    out = folder / "faces"
    write_faces(videos, str(out), SETTINGS, workers=workers, build_extractor=pinned)
    return max(path.stat().st_mtime for path in (out / "videos").iterdir()) - pinned.started_s()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        print("Fewer than two cores here: nothing to compare.")
        return 0
    spent: dict[int, list[float]] = {1: [], 2: []}
    load = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory(prefix="dfray-bench-") as folder,
        session(ClusterSection(num_cpus=3)),
    ):
        videos = make_videos(Path(folder), options.videos)
        for repeat in range(options.repeats):
            for workers, times in spent.items():
                times.append(seconds(videos, Path(folder, f"{workers}-{repeat}"), workers))
                result = f"{workers} worker(s): {times[-1]:.1f} s"
                print(f"{result}, load {os.getloadavg()[0]:.1f}", flush=True)
    one_s, two_s = (statistics.median(times) for times in spent.values())
    cores = os.cpu_count() or 1
    print(
        f"{options.videos} videos: {one_s:.1f} s, {two_s:.1f} s; load before {load:.1f} on {cores} cores"
    )
    is_met = holds("one worker / two", one_s / two_s, at_least=BOUND)
    if not is_met and load > FREE_LOAD:
        print("The cores were not free: this says nothing against it. Run it on a quiet machine.")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
