"""Memory of a training worker by the ways to save it: sharding, and activations computed again.

A sharded worker holds its part of weights, gradients and moments, and one block whole. With activation
checkpointing it keeps each block's input, and the activations of the one block that is computed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dfray.config import Recipe

if TYPE_CHECKING:
    from dfray.training.estimate import NetworkCost

GIB = 2**30
SHARE_IN_USE = 0.9
"""Share of a GPU's memory that a training may fill; the rest is CUDA's, its libraries' and fragments'."""
BF16_SHARE = 0.5
"""Size of activations in bf16 over that in float32: a little low, as norms and losses stay in float32."""


@dataclass(frozen=True)
class MemoryNeed:
    """Memory of one worker.

    Attributes:
        state_bytes: weights, gradients, AdamW's moments and a moving average, float32.
        saved_bytes: activations kept for the backward pass, float32.
    """

    sharded: bool
    recomputed: bool
    state_bytes: float
    saved_bytes: float

    def total(self, *, bf16: bool) -> float:
        """Return all bytes, with activations in bf16 or in float32."""
        return self.state_bytes + self.saved_bytes * (BF16_SHARE if bf16 else 1)

    def __str__(self) -> str:
        keys = ["training.parallelism=fsdp"] if self.sharded else []
        keys += ["training.activation_checkpointing=true"] if self.recomputed else []
        return " ".join(keys) or "neither"


def memory_needs(recipe: Recipe, cost: NetworkCost) -> tuple[MemoryNeed, ...]:
    """Return what a worker needs in each way that network and number of workers allow, fastest first."""
    section = recipe.training
    share = recipe.batches.batch_size / section.num_workers / section.accumulate
    recomputed = [False] if cost.recomputed_bytes is None else [False, True]
    return tuple(
        MemoryNeed(
            sharded,
            again,
            _state_bytes(recipe, cost, sharded=sharded),
            share * (cost.recomputed_bytes or 0.0 if again else cost.saved_bytes),
        )
        for again in recomputed
        for sharded in ([False, True] if section.num_workers > 1 else [False])
    )


def chosen_need(recipe: Recipe, cost: NetworkCost) -> MemoryNeed:
    """Return the need of the recipe as it is; without a count of what is recomputed, that of keeping all."""
    section = recipe.training
    sharded = section.parallelism == "fsdp" and section.num_workers > 1
    fitting = [need for need in memory_needs(recipe, cost) if need.sharded == sharded]
    wanted = [need for need in fitting if need.recomputed == section.activation_checkpointing]
    return (wanted or fitting)[0]


def listed_needs(needs: tuple[MemoryNeed, ...], *, bf16: bool) -> str:
    """Return what each way needs, in a line."""
    each = ", ".join(f"{need} {need.total(bf16=bf16) / GIB:,.1f}" for need in needs)
    return f"GiB a GPU: {each}"


def advice(needs: tuple[MemoryNeed, ...], gpu_gib: float, *, bf16: bool) -> str:
    """Return a line: the fastest way that fits into a GPU of `gpu_gib` GiB, and what each needs."""
    listed = listed_needs(needs, bf16=bf16)
    room = SHARE_IN_USE * gpu_gib
    for need in needs:
        if need.total(bf16=bf16) / GIB <= room:
            verdict = f"set {need}" if need.sharded or need.recomputed else "neither is needed"
            return f"{verdict} (of {gpu_gib:,.0f} GiB, {room:,.0f} may be filled; {listed})"
    return (
        f"does not fit into {gpu_gib:,.0f} GiB in any way: raise training.accumulate or "
        f"training.num_workers ({listed})"
    )


def _state_bytes(recipe: Recipe, cost: NetworkCost, *, sharded: bool) -> float:
    copies = 2 if recipe.training.ema else 1
    state = 4.0 * (cost.counts.all * copies + 3 * cost.counts.all_trained)
    if not sharded:
        return state
    return state / recipe.training.num_workers + 2 * cost.block_bytes
