"""Scores of many short clips by workers, against their extraction and network alone.

    python -m tests.benchmarks.bench_score [clips]

Clips of 4 s with a head, two frames a second, and a ResNet of 112 px. Alone: a loop over `MediaScorer` in one
process. What starts before the first score (Ray, processes, models) is apart, and printed. CPU time of all
processes, Ray's included; memory is the largest sum of their resident sets after the first ten scores, in
which pages that processes share count for each.

Asked for: with two workers at most 1.15 of the CPU time alone; two workers at least 1.8 times as fast as
one, if two cores are free; the memory for all clips (200 unless given) at most 1.1 of that for 20.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from dfray.config import ClusterSection, ModelSection
from dfray.faces.model_file import (
    FILE_NAMES,
    LANDMARKS_FILE,
    detector_model_path,
    landmark_model_path,
)
from dfray.serving.examination import Examination
from dfray.serving.inputs import MediaInput
from dfray.serving.score_files import ModelFolder, Workers, score_media
from dfray.serving.score_pool import Layout, score_on_workers
from dfray.serving.score_table import ScoringModel
from dfray.serving.score_worker import packed
from dfray.session import session
from tests.benchmarks.measure import holds
from tests.benchmarks.processes import CpuWatch
from tests.helpers.tiny import RECIPE, portrait, save_bundle, write_clip

MANY, FEW, WARM = 200, 20, 10
CPU_BOUND, SPEED_BOUND, MEMORY_BOUND = 1.15, 1.8, 1.1
MODEL = ScoringModel("benchmark", "1", "0" * 64, 0.5, "set by the benchmark")


@dataclass(frozen=True)
class Measured:
    """Of one run: seconds before the first score; CPU and wall seconds a clip after it; peak memory, MiB."""

    start_s: float
    cpu_s: float
    wall_s: float
    peak_mib: float


def main(many: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, clips = ModelFolder(model_folder(folder), MODEL), make_clips(folder, many)
        torch.set_num_threads(1)
        alone = measured("alone", score_media(model, clips, Workers(1)))
        files = packed(model.folder)
        with session(ClusterSection(num_cpus=2)):
            few, one, two = (
                measured(title, score_on_workers(files, MODEL, inputs, Layout(count)))
                for title, inputs, count in (
                    ("two workers, few clips", clips[:FEW], 2),
                    ("one worker", clips, 1),
                    ("two workers", clips, 2),
                )
            )
    kept = [
        holds("CPU of two workers, of that alone", two.cpu_s / alone.cpu_s, at_most=CPU_BOUND),
        holds("speed of two workers over one", one.wall_s / two.wall_s, at_least=SPEED_BOUND),
        holds(
            f"memory, {many:,} clips of {FEW}", two.peak_mib / few.peak_mib, at_most=MEMORY_BOUND
        ),
    ]
    return 0 if all(kept) else 1


def model_folder(folder: Path) -> Path:
    """Make the files that scoring needs of a registered model."""
    network = ModelSection(backbone="resnet10t", size_px=112)
    save_bundle(folder / "artifacts" / "bundle", RECIPE.model_copy(update={"model": network}))
    detector = folder / "artifacts" / "face_detector"
    detector.mkdir()
    shutil.copyfile(detector_model_path("full"), detector / FILE_NAMES["full"])
    shutil.copyfile(landmark_model_path(None), detector / LANDMARKS_FILE)
    return folder


def make_clips(folder: Path, count: int) -> list[MediaInput]:
    made = [write_clip(folder / f"made {k}.mp4", portrait(k), seconds=4) for k in range(4)]
    clips = [folder / f"{k:05d}.mp4" for k in range(count)]
    for number, clip in enumerate(clips):
        clip.hardlink_to(made[number % 4])
    return [MediaInput(str(clip)) for clip in clips]


def measured(title: str, scores: Iterator[Examination]) -> Measured:
    """Score all, print and return what it took."""
    begun, peak, count = time.perf_counter(), 0.0, 0
    with CpuWatch() as watch:
        for count, _ in enumerate(scores, 1):
            if count == 1:
                started, spent = time.perf_counter(), total(watch)
            if count > WARM and count % 5 == 0:
                peak = max(peak, resident_mib())
        ended, in_all = time.perf_counter(), total(watch)
    found = Measured(
        started - begun, (in_all - spent) / (count - 1), (ended - started) / (count - 1), peak
    )
    print(
        f"{title}: start {found.start_s:.1f} s; a clip {found.cpu_s:.3f} CPU-s, {found.wall_s:.3f} s; "
        f"peak {found.peak_mib:.0f} MiB",
        flush=True,
    )
    return found


def total(watch: CpuWatch) -> float:
    return sum(process.cpu_s for process in watch.look().values())


def resident_mib() -> float:
    me, total_bytes = psutil.Process(), 0
    for process in [me, *me.children(recursive=True)]:
        try:
            total_bytes += process.memory_info().rss
        except psutil.Error:
            continue
    return total_bytes / 2**20


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else MANY))
