"""Two workers of a gloo group, forked from a process that has imported what they need."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable

import torch
import torch.distributed as dist


def run_two(work: Callable[[int, str], None], folder: str) -> int:
    """Run `work(rank, folder)` in two workers; return 1 if one of them failed, else 0."""
    fork = multiprocessing.get_context("fork")
    workers = [
        fork.Process(target=_grouped, args=(work, rank, folder), daemon=True) for rank in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return int(any(worker.exitcode for worker in workers))


def _grouped(work: Callable[[int, str], None], rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    try:
        work(rank, folder)
    finally:
        dist.destroy_process_group()
