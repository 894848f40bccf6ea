"""How many images a second a training worker takes: measured on the device at hand, given, or assumed.

Measured: the recipe's own learner and step, augmentation, loss and optimizer included, from random weights
on random pixels. A CPU takes too long over a whole batch of a large network, so two small ones tell what a
step costs besides its images, and what each image adds.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dfray.batches.labels import LabelScheme
from dfray.config import Recipe
from dfray.errors import ResourceError
from dfray.planning.nodes import PEAK_TFLOPS, Nodes
from dfray.training.estimate import TRAIN_TO_FORWARD, NetworkCost
from dfray.training.learner import Learner
from dfray.training.step import TrainStep

ASSUMED_SHARE = 0.15
"""Of a GPU's peak, what a step is taken to reach where none can be measured: a guess, on the low side."""
_BUDGET_S = 10.0
"""Wall time of the measurement, about."""
_LANDMARKS = 468
_AT_LEAST = 2
"""Steps that a measurement takes, the first apart."""


@dataclass(frozen=True)
class Speed:
    """Images per second of one training worker.

    Attributes:
        source: where the figure is from, in words.
        is_assumed: it was neither measured nor given.
    """

    images_per_s: float
    source: str
    is_assumed: bool = False


def training_speed(
    recipe: Recipe, classes: LabelScheme, nodes: Nodes, given: float | None
) -> Speed:
    """The speed of a worker on `nodes`: given, or measured where their kind of device is here, or assumed.

    Args:
        given: images per second of one worker; none: not told.

    Raises:
        ResourceError: the nodes' GPUs are of a kind that is not told, and there is none here; or the
            batch does not fit into the memory of the one that is.
        RecipeError: the network cannot be built as asked.
    """
    if given is not None:
        return Speed(given, "given by --images-per-s")
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
    """Whether training on `nodes` uses GPUs, as `training.use_gpu` says."""
    wanted = recipe.training.use_gpu
    return nodes.gpus > 0 if wanted is None else wanted


def _assumed(recipe: Recipe, classes: LabelScheme, nodes: Nodes) -> Speed:
    kinds = {group.gpu for group in nodes.training.groups}
    if None in kinds:
        raise ResourceError(
            "How fast the nodes' GPUs train is not known: there is none here to measure, and --nodes "
            "does not tell which they are.",
            f"Name them ({', '.join(PEAK_TFLOPS)}), such as 8h100, or tell --images-per-s.",
        )
    slowest = min(kinds, key=lambda kind: PEAK_TFLOPS[str(kind)])
    peak = PEAK_TFLOPS[str(slowest)]
    flops = NetworkCost.of(recipe.model, len(classes.class_names)).forward_flops
    rate = ASSUMED_SHARE * peak * 1e12 / (TRAIN_TO_FORWARD * flops)
    told = f"ASSUMED: {ASSUMED_SHARE:.0%} of the {peak} Tflop/s of a {str(slowest).upper()}"
    return Speed(
        rate, f"{told}, as no GPU is here to measure; --images-per-s tells better", is_assumed=True
    )


def _measured(recipe: Recipe, classes: LabelScheme, device: torch.device) -> float:
    """Images per second at the worker's share of the batch."""
    plain = recipe.model_copy(update={"model": recipe.model.without_weights()})
    learner = Learner(plain, classes, device)
    model = learner.detector
    if recipe.training.compile:
        model = torch.compile(model)  # type: ignore[assignment]
    step = replace(learner.step(model), accumulate=1)
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
    """Seconds of a step on `largest` faces: taken, or on a slow device followed from two smaller ones."""
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
    """Median seconds of a step, after one to warm up: wall time on a GPU, else CPU time.

    The batch lies on the device, as training copies the next one meanwhile.
    """
    faces, labels, landmarks = (part.to(device) for part in batch)
    on_gpu = device.type == "cuda"
    clock = time.perf_counter if on_gpu else time.process_time
    spent: list[float] = []
    while len(spent) < 1 + _AT_LEAST or sum(spent[1:]) < _BUDGET_S / 10:
        start = clock()
        step(faces, labels, len(spent), landmarks)
        if on_gpu:
            torch.cuda.synchronize(device)
        spent.append(clock() - start)
    return statistics.median(spent[1:])


def _random_batch(
    recipe: Recipe, classes: LabelScheme, faces: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels, labels of all classes by turns, and landmarks of an ellipse for what blends faces."""
    side = recipe.faces.size_px
    images = torch.randint(0, 256, (faces, side, side, 3), dtype=torch.uint8)
    angle = torch.linspace(0, 2 * torch.pi, _LANDMARKS + 1)[:-1]
    ellipse = torch.stack((0.5 + 0.28 * angle.cos(), 0.5 + 0.36 * angle.sin()), dim=-1)
    labels = torch.arange(faces) % len(classes.class_names)
    return images, labels, ellipse.expand(faces, -1, -1).clone()
