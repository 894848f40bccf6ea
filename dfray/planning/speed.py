"""Images per second of a training worker: measured on the local device, given, or assumed.

A measurement runs the recipe's own learner and step, with augmentation, loss and optimizer, from random
weights on random pixels. A CPU takes too long for a full batch of a large network, so two small batches
separate the fixed cost of a step from the cost of each image.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from dfray.batches.labels import LabelScheme
from dfray.config import Recipe
from dfray.errors import ResourceError
from dfray.models.network import stated
from dfray.planning.nodes import PEAK_TFLOPS, Nodes
from dfray.training.estimate import TRAIN_TO_FORWARD, NetworkCost
from dfray.training.learner import Learner
from dfray.training.step import TrainStep

ASSUMED_SHARE = 0.15
"""Share of a GPU's peak that a step reaches where none can be measured: a conservative guess."""
_BUDGET_S = 10.0
"""Approximate wall time of the measurement, seconds."""
_LANDMARKS = 468
_MIN_STEPS = 2
"""Measured steps at least, after one to warm up."""


@dataclass(frozen=True)
class Speed:
    """Images per second of one training worker.

    Attributes:
        source: origin of the number, for the output.
        origin: measured here, given by the user, or assumed from the GPU's peak.
    """

    images_per_s: float
    source: str
    origin: Literal["measured", "given", "assumed"] = "measured"

    @property
    def is_measured(self) -> bool:
        """True if a training step ran on this machine."""
        return self.origin == "measured"


def training_speed(
    recipe: Recipe, classes: LabelScheme, nodes: Nodes, images_per_s: float | None
) -> Speed:
    """Return the speed of a worker on `nodes`: as given, else measured on a local device, else assumed.

    Args:
        images_per_s: of one worker, as the user gives it.

    Raises:
        ResourceError: --nodes does not name the GPUs, and this machine has none; or a batch does not
            fit into the memory of the local GPU.
        RecipeError: the network cannot be built.
    """
    if images_per_s is not None:
        return Speed(images_per_s, "given by --images-per-s", "given")
    if trains_on_gpus(recipe, nodes):
        if torch.cuda.is_available():
            rate = _measured(recipe, classes, torch.device("cuda"))
            return Speed(rate, f"measured on this {torch.cuda.get_device_name()}")
        return _assumed(recipe, classes, nodes)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rate = _measured(recipe, classes, torch.device("cpu"))
    finally:
        torch.set_num_threads(threads)
    cpus = recipe.training.cpus_per_worker
    return Speed(
        rate * cpus, f"measured on one core here, times {cpus} CPU{'s' * (cpus > 1)} a worker"
    )


def trains_on_gpus(recipe: Recipe, nodes: Nodes) -> bool:
    """Return whether training on `nodes` uses GPUs, by `training.use_gpu`."""
    use_gpu = recipe.training.use_gpu
    return nodes.gpus > 0 if use_gpu is None else use_gpu


def _assumed(recipe: Recipe, classes: LabelScheme, nodes: Nodes) -> Speed:
    kinds = {group.gpu for group in nodes.training.groups}
    if None in kinds:
        raise ResourceError(
            "The training speed of the nodes' GPUs is unknown: there is none here to measure, and --nodes "
            "does not name them.",
            f"Name them ({', '.join(PEAK_TFLOPS)}), such as 8h100, or give --images-per-s.",
        )
    slowest = min(kinds, key=lambda kind: PEAK_TFLOPS[str(kind)])
    peak = PEAK_TFLOPS[str(slowest)]
    flops = NetworkCost.of(recipe.model, len(classes.class_names)).forward_flops
    rate = ASSUMED_SHARE * peak * 1e12 / (TRAIN_TO_FORWARD * flops)
    source = (
        f"ASSUMED: {ASSUMED_SHARE:.0%} of the {peak} Tflop/s of a {str(slowest).upper()}, as this "
        "machine has no GPU to measure; give --images-per-s if you know it"
    )
    return Speed(rate, source, "assumed")


def _measured(recipe: Recipe, classes: LabelScheme, device: torch.device) -> float:
    """Return images per second at the worker's share of the batch."""
    plain = recipe.model_copy(update={"model": stated(recipe.model).without_weights()})
    learner = Learner(plain, classes, device)
    step = replace(learner.step(learner.detector), accumulate=1)
    share = recipe.batches.faces_per_step // recipe.training.num_workers
    largest = max(1, share // recipe.training.accumulate)
    images = 2 if recipe.batches.self_blend else 1
    try:
        seconds = _seconds_of(step, recipe, classes, device, largest)
    except torch.cuda.OutOfMemoryError as error:
        raise ResourceError(
            f"{largest} faces at once do not fit into the memory of this GPU.",
            "Raise training.accumulate or training.num_workers, or lower batches.batch_size.",
        ) from error
    return largest * images / seconds


def _seconds_of(
    step: TrainStep, recipe: Recipe, classes: LabelScheme, device: torch.device, largest: int
) -> float:
    """Return the seconds of a step on `largest` faces; on a slow device extrapolated from smaller steps."""
    timed: list[tuple[int, float]] = []
    faces = largest if device.type == "cuda" else min(2, largest)
    while True:
        batch = _random_batch(recipe, classes, faces)
        timed.append((faces, _repeat(step, batch, device)))
        if faces == largest:
            return timed[-1][1]
        if len(timed) > 1 and timed[-1][1] > _BUDGET_S / 10:
            (few, short), (many, long) = timed[-2:]
            return long + (largest - many) * max(long - short, 0.0) / (many - few)
        faces = min(2 * faces, largest)


def _repeat(step: TrainStep, batch: tuple[Tensor, Tensor, Tensor], device: torch.device) -> float:
    """Return the median seconds of a step, after one to warm up: wall time on a GPU, else CPU time.

    The batch is on the device already, as training copies the next one during a step.
    """
    faces, labels, landmarks = (tensor.to(device) for tensor in batch)
    on_gpu = device.type == "cuda"
    clock = time.perf_counter if on_gpu else time.process_time
    spent: list[float] = []
    while len(spent) < 1 + _MIN_STEPS or sum(spent[1:]) < _BUDGET_S / 10:
        start = clock()
        step(faces, labels, len(spent), landmarks)
        if on_gpu:
            torch.cuda.synchronize(device)
        spent.append(clock() - start)
    return statistics.median(spent[1:])


def _random_batch(
    recipe: Recipe, classes: LabelScheme, faces: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return random pixels, labels that cycle through the classes, and landmarks on an ellipse."""
    side = recipe.faces.size_px
    images = torch.randint(0, 256, (faces, side, side, 3), dtype=torch.uint8)
    angle = torch.linspace(0, 2 * torch.pi, _LANDMARKS + 1)[:-1]
    ellipse = torch.stack((0.5 + 0.28 * angle.cos(), 0.5 + 0.36 * angle.sin()), dim=-1)
    labels = torch.arange(faces) % len(classes.class_names)
    return images, labels, ellipse.expand(faces, -1, -1).clone()
