"""Images a second of the training step, captured and plain, against an earlier build.

    git worktree add ../before c7ed4ae
    python -m tests.benchmarks.bench_step --before ../before

    captured   this build with training.compile: network and objective are one graph forward, one backward
    plain      this build without it
    before     the other checkout

A batch that lies on the device, FSFM's augmentation, cross-entropy and batch-all triplets, AdamW with
layer-wise decay, random weights; in turn, the median of the rounds. torch has one thread.
On a GPU: ViT-B/16 at batch 64, bf16, wall time; asked for: captured at least 1.5 x before, and the GPU busy
for at least 0.9 of the step (the profiler's kernels). Elsewhere: ViT-Ti/16 at batch 16 on one core, CPU
time, which says nothing of a GPU, and has no bound.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

import torch

from tests.benchmarks.builds import ROOT, Build, running_builds
from tests.benchmarks.measure import holds, medians, use_one_core

ON_GPU, ON_CPU = ("vit_base_patch16_224", 64), ("vit_tiny_patch16_224", 16)
FASTER, BUSY, BUSY_STEPS = 1.5, 0.9, 20


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, help="checkout of the build to compare with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="of a round; 50 on a GPU, else 2")
    args = parser.parse_args()
    gpu = torch.cuda.is_available()
    if not gpu:
        use_one_core()
    backbone, batch = ON_GPU if gpu else ON_CPU
    steps = args.steps or (50 if gpu else 2)
    ways = {"captured": ROOT, "plain": ROOT}
    ways |= {"before": args.before.resolve()} if args.before else {}
    with ExitStack() as stack:
        builds: dict[str, Build] = {}
        for name, checkout in ways.items():
            mode = "captured" if name == "captured" else "plain"
            arguments = ("build_training.py", backbone, batch, mode)
            builds |= stack.enter_context(running_builds({name: checkout}, *arguments))
        clocks = {n: lambda b=build: b.answer(f"rate {steps}") for n, build in builds.items()}
        rates = medians(clocks, args.rounds)
        busy = {n: b.answer(f"busy {BUSY_STEPS}") for n, b in builds.items()} if gpu else {}
    print(f"{backbone}, batch {batch}, {args.rounds} x {steps} steps")
    for name, rate in rates.items():
        share = f", the GPU busy for {busy[name]:.0%}" if busy else ""
        print(f"  {name:<10}{rate:>10,.1f} images/s{share}")
    faster = {n: rates["captured"] / rate for n, rate in rates.items() if n != "captured"}
    print("".join(f"  captured/{name}: {ratio:.2f}\n" for name, ratio in faster.items()), end="")
    if not gpu:
        return 0
    results = [holds("  busy, captured", busy["captured"], at_least=BUSY)]
    if "before" in faster:
        results.append(holds("  captured/before", faster["before"], at_least=FASTER))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
