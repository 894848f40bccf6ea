"""Observation of the GPU's queue."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch


def waits_for_a_gpu(work: Callable[[], object]) -> list[str]:
    """Return what torch says of each operation of `work` in which the host waits for the GPU."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as waits:
            warnings.simplefilter("always")
            work()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return [str(wait.message) for wait in waits]
