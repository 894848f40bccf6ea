"""All work on a sampled picture but its decoding, against an earlier build.

    git worktree add ../before 6bfe815
    python -m tests.benchmarks.bench_picture --before ../before

Detection, crop, the way from the child process to its parent, and the Parquet shard: the extraction stage
as an actor runs it, with 20 pictures of 720p in place of the decoder (the head of `bench_extraction`, one
picture a second). CPU time on one core, children included, start-up apart; both builds in turn, the median
of the rounds. Without --before it prints the time of this build.

Asked for: at most 0.8 of the build before.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from tests.benchmarks.bench_extraction import FPS, SIZES, pictures
from tests.benchmarks.measure import holds, use_one_core

BOUND = 0.8
ROOT = Path(__file__).parents[2]
STAGE = Path(__file__).with_name("picture_stage.py")


@contextmanager
def stage(checkout: Path, sampled: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the stage of a checkout; end it."""
    process = subprocess.Popen(
        [sys.executable, str(STAGE), str(sampled)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout)},
    )
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait(timeout=60)


def one_round(process: subprocess.Popen[str]) -> float:
    """CPU milliseconds of a picture."""
    process.stdin.write("\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, help="checkout of the build to compare with")
    parser.add_argument("--rounds", type=int, default=11)
    args = parser.parse_args()
    use_one_core()
    checkouts = {"now": ROOT} | ({"before": args.before.resolve()} if args.before else {})
    with tempfile.TemporaryDirectory(prefix="dfray-bench-") as folder, ExitStack() as stack:
        sampled = Path(folder, "pictures.npy")
        moving = list(pictures(*SIZES["720p"]))
        np.save(sampled, np.stack(moving[::FPS]))
        stages = {
            name: stack.enter_context(stage(path, sampled)) for name, path in checkouts.items()
        }
        spent: dict[str, list[float]] = {name: [] for name in stages}
        for _ in range(args.rounds + 1):
            for name, process in stages.items():
                spent[name].append(one_round(process))
    medians = {name: statistics.median(times[1:]) for name, times in spent.items()}
    print("; ".join(f"{name}: {ms:.2f} ms a picture" for name, ms in medians.items()))
    if not args.before:
        return 0
    return 0 if holds("now/before", medians["now"] / medians["before"], at_most=BOUND) else 1


if __name__ == "__main__":
    sys.exit(main())
