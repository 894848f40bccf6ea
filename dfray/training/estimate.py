"""What a training run will need, told before it starts: counted on torch's meta device, without a weight.

Shapes flow through the network as in training, so parameters, operations and what the backward pass
keeps are counts, not guesses. Only the time is a guess: operations over the speed of a matrix product here.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from dfray.config import ModelSection, Recipe
from dfray.models.backbone import build_detector
from dfray.models.tuning import ParameterCounts
from dfray.models.weights import require_activation
from dfray.training.optim import Schedule

TRAIN_TO_FORWARD = 3
"""Operations of a step over those of its forward pass: the backward pass takes about twice as many."""
SHARE_OF_MATMUL = 0.4
"""Of the speed of one large matrix product, what whole steps are taken to reach."""
_PROBE_BATCH, _PROBE_SIDE, _PROBE_S = 2, 1024, 0.2


@dataclass(frozen=True)
class NetworkCost:
    """What a network costs.

    Attributes:
        counts: of parameters, not bytes.
        embedding_dim: D.
        forward_flops: floating point operations of the forward pass of one image.
        kept_bytes: what one image's forward pass keeps for the backward pass, in float32.
    """

    counts: ParameterCounts
    embedding_dim: int
    forward_flops: float
    kept_bytes: float

    @classmethod
    def of(cls, section: ModelSection, num_classes: int) -> NetworkCost:
        """Build the network on the meta device, and send two images of nothing through it.

        Raises:
            RecipeError: as `build_detector`.
        """
        require_activation(section)
        with torch.device("meta"):
            detector = build_detector(section.without_weights(), num_classes).train()
            images = torch.empty(_PROBE_BATCH, 3, section.size_px, section.size_px)
        # A weight is kept as it is or as a view, such as its transpose: the storage tells.
        own = {_number(tensor) for tensor in (*detector.parameters(), *detector.buffers())}
        kept: dict[int, int] = {}
        alive = []  # or a storage's number would be given out again

        def note(tensor: Tensor) -> Tensor:
            if _number(tensor) not in own:
                alive.append(tensor)
                kept[_number(tensor)] = tensor.untyped_storage().nbytes()
            return tensor

        with (
            FlopCounterMode(display=False) as flops,
            saved_tensors_hooks(note, lambda tensor: tensor),
        ):
            detector(images)
        return cls(
            counts=ParameterCounts.of(detector.backbone),
            embedding_dim=detector.embedding_dim,
            forward_flops=flops.get_total_flops() / _PROBE_BATCH,
            kept_bytes=sum(kept.values()) / _PROBE_BATCH,
        )


def _number(tensor: Tensor) -> int:
    """Names the storage, as long as a tensor of it is alive."""
    return tensor.untyped_storage()._cdata


@dataclass(frozen=True)
class TrainingEstimate:
    """What a run takes.

    Attributes:
        cost: of the network.
        faces_per_epoch: of the training sample; None if it is not known.
        schedule: of all steps; None if the sample is not known.
        steps_per_epoch: optimizer steps; 0 if the sample is not known.
        state_bytes: weights, gradients, AdamW's two moments and a moving average of the weights if there
            is one, on every worker, float32.
        kept_bytes: activations of what a worker takes at once, float32; under bf16 about half.
        seconds: of all steps, if every worker is as fast as this machine; None if not known.
        flops_per_s: the speed that `seconds` is based on.
    """

    cost: NetworkCost
    faces_per_epoch: int | None
    schedule: Schedule | None
    steps_per_epoch: int
    state_bytes: float
    kept_bytes: float
    seconds: float | None
    flops_per_s: float


def estimate_training(
    recipe: Recipe, num_classes: int, faces_per_epoch: int | None
) -> TrainingEstimate:
    """Count what training on `faces_per_epoch` faces (None: not known) takes.

    Raises:
        RecipeError: the network cannot be built as asked.
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
        kept_bytes=cost.kept_bytes * batch / section.num_workers / section.accumulate,
        seconds=TRAIN_TO_FORWARD * cost.forward_flops * images / speed if steps else None,
        flops_per_s=speed,
    )


def matmul_flops_per_s() -> float:
    """Operations per second of a large matrix product here: bf16 on a GPU, else float32.

    Of random numbers, as chips draw less power for zeros and ones, and then run faster; the first product,
    which brings its library up, is not counted.
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
