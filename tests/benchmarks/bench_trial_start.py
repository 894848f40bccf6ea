"""Cost of a search's trial besides its epochs, against a plain run of the same recipe.

    python -m tests.benchmarks.bench_trial_start

    plain run     `dfray train` on written faces, from command to end: Python, Ray, a worker, the model
    first trial   of `dfray search`, from its draw to its end: Ray runs already, its process is new
    next trial    from the end of the one before it to its own, in a process that is there already

Each trains one epoch on a few faces, and the seconds of that epoch are taken off. Wall time, as most of it
is spent in other processes; plain runs and searches by turns, medians, and the machine's load beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

TRIALS = 4
TINY = (
    "demo.train_identities=4",
    "demo.val_identities=2",
    "demo.test_identities=2",
    "demo.duration_s=1",
    "batches.stream_first_epoch=false",
    "training.num_workers=1",
    "training.epochs=1",
    f"search.trials={TRIALS}",
    "search.max_concurrent=1",
    "search.finalists=0",
)


def dfray(work: Path, name: str, command: str) -> float:
    """Wall seconds of the command in a process of its own."""
    overrides = [f"work_dir={work}", f"name={name}", *TINY]
    start = time.perf_counter()
    call = [sys.executable, "-m", "dfray.cli", command, "demo", *overrides]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"dfray {command} failed:\n{done.stderr}")
    return time.perf_counter() - start


def new_run(work: Path, name: str) -> Path:
    """A run with the manifest and faces of `faces`."""
    folder = work / name
    for folder_name in ("clips", "faces"):
        shutil.copytree(work / "faces" / folder_name, folder / folder_name)
    shutil.copy(work / "faces" / "manifest.parquet", folder)
    return folder


def plain_run(work: Path, name: str) -> float:
    folder = new_run(work, name)
    seconds = dfray(work, name, "train")
    return seconds - json.loads((folder / "state.json").read_text())["history"][0]["seconds"]


def trials_of_a_search(work: Path, name: str) -> list[float]:
    """Of each trial, in the order of their ends."""
    folder = new_run(work, name)
    dfray(work, name, "search")
    trials = sorted((folder / "search/trials").iterdir(), key=_ended_at)
    starts = [(trials[0] / "trial.json").stat().st_mtime, *map(_ended_at, trials)]
    return [
        _ended_at(trial) - before - json.loads((trial / "curve.json").read_text())[0]["seconds"]
        for trial, before in zip(trials, starts[:-1], strict=True)
    ]


def _ended_at(trial: Path) -> float:
    return (trial / "end.json").stat().st_mtime


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=2)
    repeats = parser.parse_args(arguments).repeats
    spent: dict[str, list[float]] = {"plain run": [], "first trial": [], "next trial": []}
    with tempfile.TemporaryDirectory(prefix="dfray-bench-") as folder:
        work = Path(folder)
        dfray(work, "faces", "extract")
        for repeat in range(repeats):
            spent["plain run"].append(plain_run(work, f"plain-{repeat}"))
            first, *next_trials = trials_of_a_search(work, f"search-{repeat}")
            spent["first trial"].append(first)
            spent["next trial"] += next_trials
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    print(f"{repeats} rounds; load {load} on {os.cpu_count()} cores")
    plain = statistics.median(spent["plain run"])
    for name, seconds in spent.items():
        median = statistics.median(seconds)
        listed = " ".join(f"{value:.1f}" for value in seconds)
        print(f"{name:<12}{median:>8.1f} s{median / plain:>8.2f} x a plain run   ({listed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
