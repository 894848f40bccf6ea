"""CPU time of `dfray score clip.mp4`, the whole command, against that of an earlier build.

    python -m tests.benchmarks.bench_one_clip [--before CHECKOUT] [--repeats 5]

A clip of 4 s with a head, two frames a second, a ResNet of 112 px, the champion of a database file. CHECKOUT
is a worktree of the earlier build, which the same environment runs, and which makes the champion: a later
build reads what an earlier one has registered. Beside them the floor: an interpreter
that imports torch and timm and does nothing.

Asked for: at most 0.5 of the build before, if there is one; the scores are equal to the last bit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.benchmarks.builds import ROOT
from tests.benchmarks.measure import holds, medians
from tests.helpers.commands import children_cpu_s, plain_environment
from tests.helpers.tiny import portrait, write_clip

BOUND = 0.5


def spent(command: list[str], folder: Path, checkout: Path, scores: set[float]) -> float:
    """Run a command by a checkout; return the CPU seconds of all its processes, and add the score."""
    environment = plain_environment() | {"PYTHONPATH": str(checkout)}
    before = children_cpu_s()
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    if done.stdout:
        scores.add(json.loads(done.stdout)["fake_probability"])
    return children_cpu_s() - before


def main() -> int:
    """Measure; return 1 if a bound is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, metavar="CHECKOUT")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    score = ["-m", "dfray.cli", "score", "clip.mp4", "--json"]
    ways = {"now": (score, ROOT), "floor": (["-c", "import torch, timm"], ROOT)}
    if options.before:
        ways["before"] = (score, options.before.resolve())
    scores: set[float] = set()
    with tempfile.TemporaryDirectory(prefix="dfray-bench-") as name:
        folder = Path(name)
        maker = ["-P", str(ROOT / "tests/helpers/champion.py"), name]
        spent(maker, folder, ways.get("before", ways["now"])[1], scores)
        write_clip(folder / "clip.mp4", portrait(1), seconds=4)
        clocks = {
            way: partial(spent, command, folder, checkout, scores)
            for way, (command, checkout) in ways.items()
        }
        found = medians(clocks, options.repeats)
    print("; ".join(f"{way} {cpu_s:.2f} CPU-s" for way, cpu_s in found.items()))
    is_met = holds("different scores", float(len(scores)), at_most=1)
    if options.before:
        ratio = found["now"] / found["before"]
        is_met = holds("one clip / the build before", ratio, at_most=BOUND) and is_met
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
