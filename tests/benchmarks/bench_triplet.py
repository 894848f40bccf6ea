"""The batch-all triplet loss against pytorch-metric-learning and the plain definition.

    python -m tests.benchmarks.bench_triplet

Forward and backward, D = 768, two classes, float32, CPU time of one thread, the median of interleaved
repeats, all in one run. The peer is TripletMarginLoss with LpDistance(normalize_embeddings=False)
and AvgNonZeroReducer: the same loss over the same triplets. Values are compared before anything is
timed. The largest batch runs ours alone, in a process of its own, for its peak memory; where there is a
GPU, there too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from dfray.losses.triplet import batch_all_triplet
from tests.benchmarks.measure import cpu_seconds, holds, interleaved, use_one_core
from tests.losses.naive import naive_triplet

MARGIN = 0.5
PEER = "pytorch-metric-learning"
BOUND, BOUND_SIZE, PEAK_MIB = 20.0, 256, 4096.0
LossOf = Callable[[Tensor, Tensor], Tensor]


def batch_of(size: int, dim: int) -> tuple[Tensor, Tensor]:
    """Two overlapping classes, so that some triplets are active and some are not."""
    generator = torch.Generator().manual_seed(size)
    labels = torch.arange(size) % 2
    spread = torch.rand(size, 1, generator=generator) + 0.5
    return torch.randn(size, dim, generator=generator) / dim**0.5 * spread, labels


def ours(embeddings: Tensor, labels: Tensor) -> Tensor:
    return batch_all_triplet(embeddings, labels, MARGIN)[0]


def brute_force(embeddings: Tensor, labels: Tensor) -> Tensor:
    return naive_triplet(embeddings, labels, MARGIN)[0]


def metric_learning() -> LossOf:
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.reducers import AvgNonZeroReducer

    return TripletMarginLoss(
        margin=MARGIN,
        distance=LpDistance(normalize_embeddings=False),
        reducer=AvgNonZeroReducer(),
    )


def passes(losses: dict[str, LossOf], size: int, dim: int) -> dict[str, Callable[[], None]]:
    """A forward and backward pass of each loss over one batch."""
    embeddings, labels = batch_of(size, dim)
    embeddings.requires_grad_()

    def work(loss_of: LossOf) -> None:
        embeddings.grad = None
        loss_of(embeddings, labels).backward()

    return {name: partial(work, loss_of) for name, loss_of in losses.items()}


def check_agreement(losses: dict[str, LossOf], size: int, dim: int) -> None:
    """Raise an AssertionError if a peer computes another value or gradient than the definition."""
    results = {}
    for name, loss_of in losses.items():
        embeddings, labels = batch_of(size, dim)
        embeddings.requires_grad_()
        loss = loss_of(embeddings, labels)
        loss.backward()
        results[name] = (loss.detach().double(), embeddings.grad)
    for name, result in results.items():
        torch.testing.assert_close(
            result, results["brute force"], rtol=1e-3, atol=1e-6, msg=f"{name} differs"
        )


def compare(sizes: Sequence[int], dim: int, repeats: int, brute_limit: int) -> bool:
    """Print the table, return whether the bound at BOUND_SIZE holds."""
    losses: dict[str, LossOf] = {
        "ours": ours,
        PEER: metric_learning(),
        "brute force": brute_force,
    }
    check_agreement(losses, 48, dim)
    is_met = True
    print(f"{'B':>6}  {'loss':<24}{'CPU ms':>10}{'x ours':>10}")
    for size in sizes:
        run = losses if size <= brute_limit else {"ours": ours}
        seconds = interleaved(passes(run, size, dim), repeats)
        for name, spent in seconds.items():
            ratio = spent / seconds["ours"]
            print(f"{size:>6}  {name:<24}{spent * 1e3:>10.1f}{ratio:>9.1f}x", flush=True)
        if size > brute_limit:
            print(f"{size:>6}  the others              not run: B^3 triplets, see --brute-limit")
        if size == BOUND_SIZE and PEER in seconds:
            ratio = seconds[PEER] / seconds["ours"]
            is_met = holds(f"x the CPU of ours at B={size}: {PEER}", ratio, at_least=BOUND)
    return is_met


def peak_mib() -> float:
    """This process's peak resident memory; ru_maxrss would include what its parent had."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def report_peak(size: int, dim: int) -> bool:
    """Print how far one pass over the largest batch raises this process's peak memory."""
    passes({"ours": ours}, 64, dim)["ours"]()
    largest = passes({"ours": ours}, size, dim)["ours"]
    before = peak_mib()
    spent = cpu_seconds(largest)
    print(f"{size:>6}  {'ours':<24}{spent * 1e3:>10.1f}")
    is_met = holds(f"MiB that B={size} adds to the peak", peak_mib() - before, at_most=PEAK_MIB)
    return report_gpu(size, dim) and is_met if torch.cuda.is_available() else is_met


def report_gpu(size: int, dim: int, repeats: int = 20) -> bool:
    """Print what a pass over the largest batch takes on a GPU: wall time, and memory beside the batch's."""
    embeddings, labels = (tensor.cuda() for tensor in batch_of(size, dim))
    embeddings.requires_grad_()
    spent = []
    for _ in range(repeats + 1):
        embeddings.grad = None
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        torch.cuda.synchronize()
        start = time.perf_counter()
        ours(embeddings, labels).backward()
        torch.cuda.synchronize()
        spent.append(time.perf_counter() - start)
    print(f"{size:>6}  ours, {torch.cuda.get_device_name()}: {median(spent[1:]) * 1e3:.2f} ms")
    added = (torch.cuda.max_memory_allocated() - before) / 2**20
    return holds(f"MiB that B={size} adds on the GPU", added, at_most=PEAK_MIB)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="*", default=[64, 256, 1024])
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--brute-limit", type=int, default=256, help="largest B of the B^3 peers")
    parser.add_argument(
        "--peak-size", type=int, default=4096, help="B of the memory figure; 0: none"
    )
    options = parser.parse_args(arguments)
    if not options.sizes:
        return 0 if report_peak(options.peak_size, options.dim) else 1
    use_one_core()
    torch.set_num_threads(1)
    is_met = compare(options.sizes, options.dim, options.repeats, options.brute_limit)
    if options.peak_size:  # its own process: a peak cannot be reset
        command = [sys.executable, "-m", "tests.benchmarks.bench_triplet", "--sizes"]
        command += ["--dim", str(options.dim), "--peak-size", str(options.peak_size)]
        is_met &= subprocess.run(command, check=False).returncode == 0
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
