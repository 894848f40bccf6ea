"""The whole training loop against the same step on tensors that lie on the device already.

    python -m tests.benchmarks.bench_training

    loop       written faces (lz4 shards) -> reader -> device -> augmentation -> step, as a training worker
               takes them, without Ray
    synthetic  the same step, augmentation included, on one batch that lies on the device
    bare       the same without augmentation
    compiled   the synthetic step with network and objective compiled, with --compile
    reading    batches on the device, and no step: what the reader can give at most

FSFM's augmentation, cross-entropy and batch-all triplet, AdamW with layer-wise decay, random weights. Each
way takes its steps in turn with the others, after a turn that is not counted; the median of the repeats.
A turn is a window of the reader's shuffle buffer, and the loop takes one before that does not count: it
was read while the others had their turn. torch has one thread, as in a worker of one CPU: Ray sees to that,
and more would only be in the way of the one that gives the GPU its work.
On a GPU: ViT-B/16 and ViT-L/14 at batch 64 and 256, bf16, wall time, with the share of the matrix peak
(operations of forward and backward, augmentation not counted, over the published speed and over that of a
large matrix product here) and the peak memory beside what `dfray plan` foretells; asked for: loop at least
0.95 of synthetic. With --compile a step that is compiled anew after the uncounted ones is an error.
Elsewhere: a small network on one core, CPU time; it says nothing about a GPU's hunger, only that the
loop adds no work of its own.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from dfray.batches.augment import Augment
from dfray.batches.feed import on_device
from dfray.batches.reader import FacesReader
from dfray.batches.sample import sample_faces
from dfray.config import (
    AugmentSection,
    BatchesSection,
    CorpusSection,
    FacesSection,
    ModelSection,
    ObjectiveSection,
    Recipe,
    TripletSection,
)
from dfray.faces.shards import FacesStore
from dfray.losses.objective import Objective
from dfray.models.backbone import build_detector
from dfray.models.preprocess import Preprocess
from dfray.training.estimate import (
    TRAIN_TO_FORWARD,
    NetworkCost,
    estimate_training,
    matmul_flops_per_s,
)
from dfray.training.optim import Schedule, build_optimizer
from dfray.training.step import TrainStep, compiled_terms, compute_dtype
from tests.benchmarks.build_training import FSFM, TRAINING
from tests.benchmarks.measure import holds, use_one_core
from tests.helpers.crops import draw_crops
from tests.helpers.rows import fake_row, video_row, write_store

SIZE, BOUND, PER_VIDEO = 224, 0.95, 32
GPU_WINDOW, CPU_WINDOW = BatchesSection().shuffle_faces, 32
NOTHING = AugmentSection(flip=0, crop_scale=None, brightness=0, contrast=0)
GPU_CASES = [
    (backbone, batch)
    for backbone in ("vit_base_patch16_224", "vit_large_patch14_clip_quickgelu_224")
    for batch in (64, 256)
]
CPU_CASES = [("vit_tiny_patch16_224", 16)]
PUBLISHED_PEAK = {
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "H200": 989e12,
    "A100": 312e12,
}  # bf16, dense
Fed = Iterator[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Case:
    """One network at one batch size, the store to feed it from, and the faces that are shuffled together."""

    backbone: str
    batch: int
    window: int
    store: FacesStore
    device: torch.device

    @property
    def steps(self) -> int:
        """Of one turn: a window of the reader."""
        return max(1, self.window // self.batch)

    def step(self) -> TrainStep:
        torch.manual_seed(0)
        model = self.model_section()
        detector = build_detector(model, 2).to(self.device)
        return TrainStep(
            model=detector,
            augment=Augment(FSFM, Preprocess(model).to(self.device)),
            objective=Objective(ObjectiveSection(triplet=TripletSection(weight=0.2))),
            optimizer=build_optimizer(detector, TRAINING),
            schedule=Schedule.of(TRAINING, 1000),
            dtype=compute_dtype("auto", self.device),
        )

    def model_section(self) -> ModelSection:
        return ModelSection(backbone=self.backbone, size_px=SIZE)

    def read(self) -> Fed:
        """Epoch after epoch, as a training worker reads them."""
        section = BatchesSection(batch_size=self.batch, sampling="all", shuffle_faces=self.window)
        reader = FacesReader(
            self.store, sample_faces(self.store.summaries(), "train", section), section
        )
        epoch = 0
        while True:
            for _, faces, labels, _ in on_device(reader.epoch(epoch), self.device):
                yield faces, labels
            epoch += 1

    def compiled(self) -> TrainStep:
        step = self.step()
        return replace(step, terms=compiled_terms(self.device))

    def resident(self) -> Fed:
        """One batch of the store, again and again."""
        faces, labels = (tensor.clone() for tensor in next(self.read()))
        while True:
            yield faces, labels


class TimedLoop:
    """A loop that pauses between its turns; without a step it only takes batches.

    Before each turn it takes `ahead` steps that do not count.
    """

    def __init__(
        self, batches: Fed, device: torch.device, step: TrainStep | None = None, ahead: int = 0
    ) -> None:
        self.batches, self.device, self.step, self.ahead = batches, device, step, ahead
        self.n_batches = 0

    def seconds(self, steps: int) -> float:
        """Of `steps` steps: wall time on a GPU, else CPU time."""
        clock = time.perf_counter if self.device.type == "cuda" else time.process_time
        self._take(self.ahead)
        start = clock()
        self._take(steps)
        return clock() - start

    def _take(self, steps: int) -> None:
        for faces, labels in islice(self.batches, steps):
            if self.step:
                self.step(faces, labels, self.n_batches)
            self.n_batches += 1
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def write_faces(folder: Path, faces: int) -> FacesStore:
    """At least `faces` crops of the demo's people, each with its own grain."""
    people = torch.from_numpy(draw_crops(16, SIZE))
    generator = torch.Generator().manual_seed(0)
    videos = []
    for index in range(max(2, -(-faces // PER_VIDEO))):
        grain = torch.randint(-3, 4, (PER_VIDEO, SIZE, SIZE, 1), generator=generator)
        crops = (people[index % len(people)] + grain).clamp_(0, 255).to(torch.uint8).numpy()
        videos.append(((fake_row if index % 2 else video_row)(f"{index:04d}"), list(crops)))
    return write_store(folder, videos, FacesSection(size_px=SIZE))


def compare(case: Case, repeats: int, *, compiled: bool) -> bool:
    """Print the case's lines; whether its bound holds."""
    if case.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(case.device)
    step, steps = case.step(), case.steps
    bare = replace(step, augment=Augment(NOTHING, step.augment.preprocess))
    loops = {
        "loop": TimedLoop(case.read(), case.device, step, ahead=steps),
        "synthetic": TimedLoop(case.resident(), case.device, step),
        "bare": TimedLoop(case.resident(), case.device, bare),
    }
    if compiled:
        loops["compiled"] = TimedLoop(case.resident(), case.device, case.compiled())
    spent: dict[str, list[float]] = {name: [] for name in loops}
    for repeat in range(repeats + 1):
        for name, loop in loops.items():
            with torch.compiler.set_stance("fail_on_recompile") if repeat else nullcontext():
                seconds = loop.seconds(steps)
            if repeat:
                spent[name].append(seconds)
    rates = {name: steps * case.batch / statistics.median(spent[name]) for name in loops}
    reading = TimedLoop(case.read(), case.device, ahead=steps)
    rates["reading"] = repeats * steps * case.batch / reading.seconds(repeats * steps)
    print(f"\n{case.backbone}, batch {case.batch}, {step.dtype}, {repeats} x {steps} steps")
    for name, rate in rates.items():
        print(f"  {name:<10}{rate:>10,.1f} images/s{rate / rates['loop']:>8.2f} x loop")
    print(f"  augmentation is {1 - rates['synthetic'] / rates['bare']:.1%} of the synthetic step")
    if case.device.type == "cuda":
        report_gpu(case, rates)
        report_memory(case)
    return holds("  loop/synthetic", rates["loop"] / rates["synthetic"], at_least=BOUND)


def report_gpu(case: Case, rates: dict[str, float]) -> None:
    flops = TRAIN_TO_FORWARD * NetworkCost.of(case.model_section(), 2).forward_flops
    reached = {name: flops * rate for name, rate in rates.items() if name != "reading"}
    matmul_rate = matmul_flops_per_s()
    shares = [f"{share / matmul_rate:.0%} ({name})" for name, share in reached.items()]
    print(
        f"  of a large matrix product here, {matmul_rate / 1e12:,.2f} Tflop/s: {', '.join(shares)}"
    )
    gpu = torch.cuda.get_device_name(case.device)
    for peak in [peak for name, peak in PUBLISHED_PEAK.items() if name in gpu][:1]:
        shares = [f"{share / peak:.0%} ({name})" for name, share in reached.items()]
        print(f"  of {gpu}'s published {peak / 1e12:,.0f} Tflop/s: {', '.join(shares)}")


def report_memory(case: Case) -> None:
    recipe = Recipe(
        name="bench",
        corpora=[CorpusSection(reader="folder", root="faces")],
        model=case.model_section(),
        batches=BatchesSection(batch_size=case.batch),
        training=TRAINING,
    )
    estimate = estimate_training(recipe, 2, None)
    peak_gib = torch.cuda.max_memory_allocated(case.device) / 2**30
    state, activations_gib = estimate.state_bytes / 2**30, estimate.saved_bytes / 2**30
    print(
        f"  peak memory {peak_gib:.1f} GiB; estimated {state:.1f} of weights, gradients and moments, and "
        f"{activations_gib:.1f} of activations in float32 (about half under bf16)"
    )


def cases(options: argparse.Namespace, folder: Path, device: torch.device) -> Iterable[Case]:
    selected = GPU_CASES if device.type == "cuda" else CPU_CASES
    if options.backbone:
        selected = [(options.backbone, batch) for batch in options.batch or [64]]
    window = GPU_WINDOW if device.type == "cuda" else CPU_WINDOW
    n_images = 2 * window * (options.repeats + 1)  # one long epoch, counted steps and uncounted
    store = write_faces(folder, n_images + 8 * max(batch for _, batch in selected))
    for backbone, batch in selected:
        yield Case(backbone, batch, window, store, device)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    gpu = torch.cuda.is_available()
    parser.add_argument("--backbone", help="instead of those above")
    parser.add_argument("--batch", type=int, nargs="+", help="with --backbone")
    parser.add_argument("--compile", action="store_true", help="time a compiled step too")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    if not gpu:
        print("No GPU here: a small network on the CPU, which says nothing about feeding a GPU.")
        use_one_core()
    torch.set_num_threads(TRAINING.cpus_per_worker)
    device = torch.device("cuda" if gpu else "cpu")
    with tempfile.TemporaryDirectory(prefix="dfray-bench-") as folder:
        results = [
            compare(case, options.repeats, compiled=options.compile)
            for case in cases(options, Path(folder), device)
        ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
