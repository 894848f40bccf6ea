"""Estimate of a training run's memory, operations and time, counted on torch's meta device without weights.

Shapes flow through the network as in training, so parameters, operations and the tensors saved for the
backward pass are counts. Only the time is a guess: operations over this machine's speed of a matrix product.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from dfray.config import ModelSection, Recipe
from dfray.models.backbone import build_detector
from dfray.models.initial_values import SkipDraws
from dfray.models.network import NetworkChanges, stated
from dfray.models.tuning.counts import ParameterCounts
from dfray.models.weights import require_activation
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
        changes: what the pretrained network has otherwise than timm's; None: it starts at random.
    """

    counts: ParameterCounts
    embedding_dim: int
    forward_flops: float
    saved_bytes: float
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
        # A weight is saved itself or as a view, such as its transpose: both have its storage.
        weights = {_storage_id(t) for t in (*detector.parameters(), *detector.buffers())}
        saved: dict[int, int] = {}
        alive = []  # else a storage's id would be used again

        def count(tensor: Tensor) -> Tensor:
            if _storage_id(tensor) not in weights:
                alive.append(tensor)
                saved[_storage_id(tensor)] = tensor.untyped_storage().nbytes()
            return tensor

        with (
            FlopCounterMode(display=False) as flops,
            saved_tensors_hooks(count, lambda tensor: tensor),
        ):
            detector(images)
        return cls(
            counts=ParameterCounts.of(detector.backbone),
            embedding_dim=detector.embedding_dim,
            forward_flops=flops.get_total_flops() / _PROBE_BATCH,
            saved_bytes=sum(saved.values()) / _PROBE_BATCH,
            changes=changes,
        )


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
            is one, on every worker, float32.
        saved_bytes: activations of one forward pass of a worker, float32; under bf16 about half.
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
    return TrainingEstimate(
        cost=cost,
        faces_per_epoch=faces_per_epoch,
        schedule=Schedule.of(section, steps) if steps else None,
        steps_per_epoch=steps,
        state_bytes=4.0
        * (cost.counts.all * (2 if section.ema else 1) + 3 * cost.counts.all_trained),
        saved_bytes=cost.saved_bytes * batch / section.num_workers / section.accumulate,
        seconds=TRAIN_TO_FORWARD * cost.forward_flops * images / speed if steps else None,
        flops_per_s=speed,
    )


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
