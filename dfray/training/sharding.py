"""Sharded training (FSDP2): every worker holds a part of the weights, gradients and optimizer state.

A block's weights are gathered for its forward and backward pass, and its gradients averaged over the workers
as DistributedDataParallel averages them; so a step is the same. Saved state is whole, and loads into a
training on any number of workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.utils._pytree import tree_map

from dfray.models.backbone import Detector


def shard(detector: Detector) -> None:
    """Shard a detector over all workers in place, each of timm's `blocks` by itself.

    Its parameters are other objects then: make the optimizer afterwards.
    """
    for block in getattr(detector.backbone, "blocks", ()):
        fully_shard(block)
    fully_shard(detector)


@contextmanager
def whole_weights(network: nn.Module) -> Iterator[None]:
    """Hold all weights on every worker, so that each may run another number of batches, without gradients."""
    if not isinstance(network, FSDPModule):
        yield
        return
    parts = [module for module in network.modules() if isinstance(module, FSDPModule)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.set_reshard_after_forward(part is not network, recurse=False)
            part.reshard()


def gathered(state: Any) -> Any:
    """Return nested dictionaries and lists with sharded tensors made whole; all workers must call it."""
    return tree_map(
        lambda value: value.full_tensor() if isinstance(value, DTensor) else value, state
    )


def held(value: Tensor) -> Tensor:
    """Return the part of a tensor that this worker holds: all of one that is not sharded."""
    return value.to_local() if isinstance(value, DTensor) else value


def placed(state: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return whole tensors as those of the same name in `like` are: on their device, and sharded."""
    return {
        name: _as(value, like[name]) if name in like else value for name, value in state.items()
    }


def placed_optimizer(state: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return the whole state of an optimizer with each moment as its parameter is."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    of_parameter = {
        index: {
            name: _as(value, parameters[index]) if value.shape == parameters[index].shape else value
            for name, value in moments.items()
        }
        for index, moments in state["state"].items()
    }
    return state | {"state": of_parameter}


def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> None:
    """Scale all gradients to a norm of at most `max_norm` together, sharded and whole ones."""
    chosen = [p for p in parameters if p.grad is not None]
    kinds = [[p for p in chosen if isinstance(p, DTensor) == sharded] for sharded in (True, False)]
    kinds = [kind for kind in kinds if kind]
    norms = [
        gathered(get_total_norm([p.grad for p in kind if p.grad is not None])) for kind in kinds
    ]
    norm = norms[0] if len(norms) == 1 else torch.stack(norms).norm()
    for kind in kinds:
        clip_grads_with_norm_(kind, max_norm, norm)


def _as(value: Tensor, like: Tensor) -> Tensor:
    if not isinstance(like, DTensor) or value.shape != like.shape:
        return value
    whole = value.to(like.device)
    return distribute_tensor(whole, like.device_mesh, like.placements, src_data_rank=None)
