"""Global batch: the tensors of all workers, gathered on every worker, with gradients.

Every worker then computes the same loss of the same gathered batch, so the sum over workers of its
gradients is the number of workers times its slice: no communication in the backward pass.
DistributedDataParallel divides by the number of workers again, which leaves the gradients of one
worker with the whole batch.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def gather(local: Tensor) -> Tensor:
    """(B, ...) on each of R workers -> (R B, ...), in the order of their ranks, on all of them.

    Every worker must call it, with the same shape and dtype. Identity outside torch.distributed.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return local
    gathered: Tensor = _gathered(local)
    return gathered


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _gathered(local: Tensor) -> Tensor:
    gathered: Tensor = _Gather.apply(local)
    return gathered


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, local: Tensor) -> Tensor:
        workers = dist.get_world_size()
        gathered = local.new_empty(workers * len(local), *local.shape[1:])
        dist.all_gather_into_tensor(gathered, local.contiguous())
        return gathered

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        workers, rank = dist.get_world_size(), dist.get_rank()
        return gradients[0].chunk(workers)[rank] * workers


def average_gradients(module: nn.Module) -> None:
    """Give every worker the mean of the gradients of `module`'s parameters, in place.

    For parameters outside DistributedDataParallel with a loss of the gathered batch: their gradients are
    equal already, unless the loss draws at random. Every worker must call it, after backward.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return
    for parameter in module.parameters():
        if parameter.grad is not None:
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()
