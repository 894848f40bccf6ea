"""One build's training step, driven by `builds` over standard input and output.

    PYTHONPATH=<checkout> python build_training.py BACKBONE BATCH plain|captured

For every line that comes in, `rate N` or `busy N`, N steps are taken on a batch that lies on the device, with
FSFM's augmentation and batch-all triplets; images a second go out (wall time on a GPU, else CPU time), or the
share of the time in which the GPU has a kernel to run. `captured` compiles where the build can, as
`training.compile` does. It uses only what builds since c7ed4ae have in common.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from dfray.batches.augment import Augment
from dfray.config import (
    AugmentSection,
    ModelSection,
    ObjectiveSection,
    TrainingSection,
    TripletSection,
)
from dfray.losses.objective import Objective
from dfray.models.backbone import build_detector
from dfray.models.preprocess import Preprocess
from dfray.training import step as of_build
from dfray.training.optim import Schedule, build_optimizer

SIZE_PX, WARM_STEPS = 224, 4
FSFM = AugmentSection(
    crop_scale=(0.08, 1.0),
    interpolation="bicubic",
    randaugment="rand-m9-mstd0.5-inc1",
    brightness=0,
    contrast=0,
    erasing=0.25,
)
TRAINING = TrainingSection(layer_decay=0.75)


def build_step(backbone: str, device: torch.device, *, captured: bool) -> Any:
    torch.manual_seed(0)
    model = ModelSection(backbone=backbone, size_px=SIZE_PX)
    detector = build_detector(model, 2).to(device)
    step = of_build.TrainStep(
        model=detector,
        augment=Augment(FSFM, Preprocess(model).to(device)),
        objective=Objective(ObjectiveSection(triplet=TripletSection(weight=0.2))),
        optimizer=build_optimizer(detector, TRAINING),
        schedule=Schedule.of(TRAINING, 1000),
        dtype=of_build.compute_dtype("auto", device),
    )
    can_capture = captured and hasattr(of_build, "compiled_terms")
    return replace(step, terms=of_build.compiled_terms(device)) if can_capture else step


def serve(take_steps: Callable[[int], None], batch: int, device: torch.device) -> None:
    """Answer every line of standard input."""
    on_gpu = device.type == "cuda"
    clock = time.perf_counter if on_gpu else time.process_time
    take_steps(WARM_STEPS)
    for line in sys.stdin:
        what, count = line.split()[0], int(line.split()[1])
        start_s = clock()
        if what == "rate":
            take_steps(count)
            print(count * batch / (clock() - start_s), flush=True)
        else:
            with profile(activities=[ProfilerActivity.CUDA]) as profiled:
                start_s = clock()
                take_steps(count)
                wall_s = clock() - start_s
            print(_busy_s(profiled) / wall_s, flush=True)


def _busy_s(profiled: profile) -> float:
    """Return the seconds in which one kernel or more ran."""
    events = [event for event in profiled.events() or () if event.device_type == DeviceType.CUDA]
    spans = sorted((event.time_range.start, event.time_range.end) for event in events)
    busy_us, until = 0.0, float("-inf")
    for start, end in spans:
        busy_us += max(0.0, end - max(start, until))
        until = max(until, end)
    return busy_us / 1e6


def main(backbone: str, batch: int, mode: str) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    step = build_step(backbone, device, captured=mode == "captured")
    shape = (batch, SIZE_PX, SIZE_PX, 3)
    faces = torch.randint(0, 256, shape, dtype=torch.uint8).to(device)
    labels = (torch.arange(batch) % 2).to(device)
    numbers = iter(range(10**9))

    def take_steps(count: int) -> None:
        for _ in range(count):
            step(faces, labels, next(numbers))
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    serve(take_steps, batch, device)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
