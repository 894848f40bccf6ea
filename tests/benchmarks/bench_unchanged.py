"""CPU time of a `dfray run` that finds nothing changed, against that of an earlier build.

    python -m tests.benchmarks.bench_unchanged [--before CHECKOUT] [--repeats 3]

Each build runs a small recipe from twelve clips to a promotion in a folder of its own; then both do the same
again in turn. CHECKOUT is a worktree of the earlier build, which the same environment runs. Of this build
the figure is the CPU time of all of the command, of the earlier one at least that: the processes of Ray are
looked at every second, and what they spend after the last look is lost.

Asked for: no process of Ray, and at most 0.25 of the build before, if there is one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.builds import ROOT
from tests.benchmarks.measure import holds
from tests.benchmarks.processes import CpuWatch
from tests.helpers.commands import children_cpu_s, plain_environment
from tests.helpers.corpus import write_corpus
from tests.helpers.refused_run import RECIPE

BOUND = 0.25
_OF_RAY = ("raylet", "gcs_server")


def run(folder: Path, checkout: Path) -> tuple[float, bool]:
    """Run the recipe in a folder by a checkout; return its CPU seconds, and True if Ray was started."""
    command = [sys.executable, "-m", "dfray.cli", "run", "small.yaml"]
    environment = plain_environment() | {"PYTHONPATH": str(checkout)}
    before = children_cpu_s()
    with CpuWatch() as watch, (folder / "output").open("a") as output:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdout=output, stderr=output, check=False
        )
        spent = watch.look()
    if done.returncode not in (0, 1):  # 1: the gates refuse the detector
        raise RuntimeError((folder / "output").read_text())
    own = spent.pop(os.getpid()).name
    watched = sum(process.cpu_s for process in spent.values() if process.name != own)
    names = {process.name for process in spent.values()}
    return max(watched, children_cpu_s() - before), bool(names & set(_OF_RAY))


def main() -> int:
    """Measure both builds; return 1 if the bound is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, metavar="CHECKOUT")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    checkouts = {"now": ROOT}
    if options.before:
        checkouts["before"] = options.before.resolve()
    spent: dict[str, list[float]] = {name: [] for name in checkouts}
    starts_ray = False
    with tempfile.TemporaryDirectory(prefix="dfray-bench-") as parent:
        folders = {name: Path(parent, name) for name in checkouts}
        for name, folder in folders.items():
            write_corpus(folder / "corpus", 12, seconds=2, splits=("train", "val", "test"))
            (folder / "small.yaml").write_text(RECIPE)
            first, _ = run(folder, checkouts[name])
            print(f"{name}: first run {first:.1f} CPU-s", flush=True)
        for _ in range(options.repeats):
            for name, folder in folders.items():
                cpu_s, uses_ray = run(folder, checkouts[name])
                spent[name].append(cpu_s)
                starts_ray |= uses_ray and name == "now"
                print(f"{name}: unchanged run {cpu_s:.2f} CPU-s, Ray {uses_ray}", flush=True)
    medians = {name: statistics.median(values) for name, values in spent.items()}
    is_met = holds("unchanged runs that start Ray", float(starts_ray), at_most=0)
    if options.before:
        ratio = medians["now"] / medians["before"]
        title = "an unchanged run / that of the build before"
        is_met = holds(title, ratio, at_most=BOUND) and is_met
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
