"""Tensor operations and CPU time of FSFM's augmentation, against an earlier build.

    git worktree add ../before c7ed4ae
    python -m tests.benchmarks.bench_augment --before ../before

A batch of 64 faces from the demo's people, augmented by both builds from the same seeds, in turn:

    operations   that torch dispatches in a step, views included: mean of 20 seeds, lowest, highest
    at 224 px    CPU time of a step, median of the seeds
    at 8 px      the same of pictures of 8 x 8, which is nearly Python's part: what a GPU waits for

Asked for: 280 operations in the mean at most, and at 224 px at most 0.7 of the CPU time of the build before.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.benchmarks.builds import ROOT, Build, running_builds
from tests.benchmarks.measure import holds, use_one_core
from tests.helpers.crops import draw_crops

BATCH, SEEDS, SMALL_PX, LARGE_PX = 64, 20, 8, 224
OPERATIONS, CPU_SHARE = 280, 0.7


def count(builds: dict[str, Build]) -> dict[str, float]:
    """Print and return the operations of a step."""
    means = {}
    for name, build in builds.items():
        counts = [build.answer(f"count {seed}") for seed in range(SEEDS)]
        means[name] = statistics.mean(counts)
        print(f"{name}: {means[name]:.0f} operations ({min(counts):.0f} to {max(counts):.0f})")
    return means


def time(builds: dict[str, Build]) -> dict[str, float]:
    """Return the CPU seconds of a step."""
    spent: dict[str, list[float]] = {name: [] for name in builds}
    for seed in range(SEEDS):
        for name, build in builds.items():
            spent[name].append(build.answer(f"seed {seed}"))
    return {name: statistics.median(seconds) for name, seconds in spent.items()}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, help="checkout of the build to compare with")
    args = parser.parse_args()
    use_one_core()
    checkouts = {"now": ROOT} | ({"before": args.before.resolve()} if args.before else {})
    faces = np.tile(draw_crops(16, LARGE_PX), (BATCH // 16, 1, 1, 1))
    step = LARGE_PX // SMALL_PX
    sizes = {LARGE_PX: faces, SMALL_PX: np.ascontiguousarray(faces[:, ::step, ::step])}
    results = []
    with tempfile.TemporaryDirectory(prefix="dfray-bench-") as folder:
        for side, batch in sizes.items():
            np.save(path := Path(folder, f"{side}.npy"), batch)
            with running_builds(checkouts, "build_augment.py", path) as builds:
                if side == LARGE_PX:
                    results.append(holds("operations", count(builds)["now"], at_most=OPERATIONS))
                spent = time(builds)
            print(f"{side} px: " + ", ".join(f"{n} {s * 1000:.1f} ms" for n, s in spent.items()))
            if args.before:
                ratio, bound = spent["now"] / spent["before"], CPU_SHARE
                if side == LARGE_PX:
                    results.append(holds("  now/before", ratio, at_most=bound))
                else:
                    print(f"  now/before: {ratio:.2f}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
