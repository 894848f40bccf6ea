"""Estimate of a training run's memory, operations and time, counted on torch's meta device without weights.

Shapes flow through the network as in training, so parameters, operations and the tensors saved for the
backward pass are counts. Only the time is a guess: operations over this machine's speed of a matrix product.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from dfray.config import ModelSection, Recipe
from dfray.models.backbone import Detector, build_detector
from dfray.models.initial_values import SkipDraws
from dfray.models.network import NetworkChanges, stated
from dfray.models.tuning.counts import ParameterCounts
from dfray.models.weights import require_activation
from dfray.training.memory import MemoryNeed, chosen_need, memory_needs
from dfray.training.optim import Schedule

TRAIN_TO_FORWARD = 3
"""Operations of a step over those of its forward pass: the backward pass takes about twice as many."""
SHARE_OF_MATMUL = 0.4
"""Assumed speed of a training step over the speed of one large matrix product."""
_PROBE_BATCH, _PROBE_SIDE, _PROBE_S = 2, 1024, 0.2


@dataclass(frozen=True)
class NetworkCost:
    """Parameters, operations and activation memory of a network.

    Attributes:
        counts: of parameters, not bytes.
        embedding_dim: D.
        forward_flops: floating point operations of the forward pass of one image.
        saved_bytes: tensors of one image's forward pass saved for the backward pass, in float32.
        recomputed_bytes: likewise with activation checkpointing; None: timm has no `blocks` to count by.
        block_bytes: weights of the largest block, float32; of the whole network, if it has no `blocks`.
        changes: what the pretrained network has otherwise than timm's; None: it starts at random.
    """

    counts: ParameterCounts
    embedding_dim: int
    forward_flops: float
    saved_bytes: float
    recomputed_bytes: float | None
    block_bytes: float
    changes: NetworkChanges | None

    @classmethod
    @cache
    def of(cls, section: ModelSection, num_classes: int) -> NetworkCost:
        """Build the network on the meta device, run two empty images through it, and count.

        Raises:
            RecipeError: as `build_detector`.
        """
        require_activation(section)
        changes = NetworkChanges.of(stated(section)) if section.weights else None
        with torch.device("meta"), SkipDraws():
            detector = build_detector(stated(section).without_weights(), num_classes).train()
            images = torch.empty(_PROBE_BATCH, 3, section.size_px, section.size_px)
        saved = _SavedTensors(detector)
        with (
            FlopCounterMode(display=False) as flops,
            saved_tensors_hooks(saved.count, lambda tensor: tensor),
        ):
            detector(images)
        parts = saved.blocks or [detector]
        return cls(
            counts=ParameterCounts.of(detector.backbone),
            embedding_dim=detector.embedding_dim,
            forward_flops=flops.get_total_flops() / _PROBE_BATCH,
            saved_bytes=saved.kept / _PROBE_BATCH,
            recomputed_bytes=saved.recomputed / _PROBE_BATCH if saved.blocks else None,
            block_bytes=max(4.0 * sum(p.numel() for p in part.parameters()) for part in parts),
            changes=changes,
        )


class _SavedTensors:
    """Sizes of the tensors that a network's forward pass saves for the backward pass, by its blocks.

    Attributes:
        blocks: those that timm computes again with activation checkpointing.
    """

    def __init__(self, detector: Detector) -> None:
        # A weight is saved itself or as a view, such as its transpose: both have its storage.
        self._weights = {_storage_id(t) for t in (*detector.parameters(), *detector.buffers())}
        self._sizes: dict[int, dict[int, int]] = {}  # block, -1 for none -> storage -> bytes
        self._alive: list[Tensor] = []  # else a storage's id would be used again
        self._inputs, self._block = 0, -1
        self.blocks: list[nn.Module] = list(getattr(detector.backbone, "blocks", ()))
        for number, block in enumerate(self.blocks):
            block.register_forward_pre_hook(partial(self._enter, number))
            block.register_forward_hook(self._leave)

    def count(self, tensor: Tensor) -> Tensor:
        """Count a tensor once, unless it is a weight, and return it."""
        storage = _storage_id(tensor)
        if storage not in self._weights and not any(storage in of for of in self._sizes.values()):
            self._alive.append(tensor)
            of_block = self._sizes.setdefault(self._block, {})
            of_block[storage] = tensor.untyped_storage().nbytes()
        return tensor

    @property
    def kept(self) -> int:
        """Bytes of all."""
        return sum(sum(sizes.values()) for sizes in self._sizes.values())

    @property
    def recomputed(self) -> int:
        """Bytes if each block keeps its input, and one at a time is computed again."""
        within = [sum(sizes.values()) for number, sizes in self._sizes.items() if number >= 0]
        return sum(self._sizes.get(-1, {}).values()) + self._inputs + max(within, default=0)

    def _enter(self, number: int, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._block = number
        self._inputs += inputs[0].numel() * inputs[0].element_size()

    def _leave(self, *_: object) -> None:
        self._block = -1


def _storage_id(tensor: Tensor) -> int:
    """Return a number of the storage, unique while a tensor of it is alive."""
    return int(tensor.untyped_storage()._cdata)


@dataclass(frozen=True)
class TrainingEstimate:
    """Memory, operations and time of a run.

    Attributes:
        cost: of the network.
        faces_per_epoch: of the training sample; None if unknown.
        schedule: of all steps; None if the sample is unknown.
        steps_per_epoch: optimizer steps; 0 if the sample is unknown.
        state_bytes: weights, gradients, AdamW's two moments and a moving average of the weights if there
            is one, of a worker, float32.
        saved_bytes: activations of one forward pass of a worker, float32; under bf16 about half.
        needs: the same for each way to save memory.
        seconds: of all steps, if every worker is as fast as this machine; None if unknown.
        flops_per_s: the speed that `seconds` is based on.
    """

    cost: NetworkCost
    faces_per_epoch: int | None
    schedule: Schedule | None
    steps_per_epoch: int
    state_bytes: float
    saved_bytes: float
    seconds: float | None
    flops_per_s: float
    needs: tuple[MemoryNeed, ...]


def estimate_training(
    recipe: Recipe, num_classes: int, faces_per_epoch: int | None
) -> TrainingEstimate:
    """Estimate the training on `faces_per_epoch` faces; None: their number is unknown.

    Raises:
        RecipeError: the network cannot be built.
    """
    cost = NetworkCost.of(recipe.model, num_classes)
    section, batch = recipe.training, recipe.batches.batch_size
    steps = (faces_per_epoch or 0) // batch
    speed = SHARE_OF_MATMUL * matmul_flops_per_s()
    images = steps * section.epochs * batch / section.num_workers
    need = chosen_need(recipe, cost)
    return TrainingEstimate(
        cost=cost,
        faces_per_epoch=faces_per_epoch,
        schedule=Schedule.of(section, steps) if steps else None,
        steps_per_epoch=steps,
        state_bytes=need.state_bytes,
        saved_bytes=need.saved_bytes,
        seconds=TRAIN_TO_FORWARD * cost.forward_flops * images / speed if steps else None,
        flops_per_s=speed,
        needs=memory_needs(recipe, cost),
    )


def local_gpu_gib() -> float | None:
    """Return the memory of this machine's first GPU; None: it has none."""
    if not torch.cuda.is_available():
        return None
    return float(torch.cuda.get_device_properties(0).total_memory) / 2**30


@cache
def matmul_flops_per_s() -> float:
    """Measure the operations per second of a large matrix product, once: bf16 on a GPU, else float32.

    Of random numbers, as chips draw less power for zeros and ones, and then run faster; the first product,
    which loads its library, is not counted.
    """
    gpu = torch.cuda.is_available()
    side = _PROBE_SIDE * (8 if gpu else 1)
    left = torch.randn(
        side, side, device="cuda" if gpu else "cpu", dtype=torch.bfloat16 if gpu else torch.float32
    )

    def seconds() -> float:
        start = time.perf_counter()
        left @ left
        if gpu:
            torch.cuda.synchronize()
        return time.perf_counter() - start

    seconds()
    spent = [seconds()]
    while sum(spent) < _PROBE_S:
        spent.append(seconds())
    return 2 * side**3 / statistics.median(spent)
