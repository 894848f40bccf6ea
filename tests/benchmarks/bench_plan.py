"""Estimates of `dfray plan` against a run of twenty times its sample.

    python -m tests.benchmarks.bench_plan

Two datasets of generated clips, of 2 to 20 s (a few are long) and of two sizes each: 480 and 360 lines, and
720 and 540. The run's videos are drawn from them, over and over: what repeats is the content, not the
work. The plan measures some of the run's videos; then the run extracts all of them through Ray Data, with
two workers, into an empty store. CPU time is that of the workers and their children, counted process by
process, their start included. Wall time is printed, with the machine's load: the plan promises it for cores
that nobody else uses. On a busy machine the same work takes more CPU time too; so the sample is measured a
second time after the run, and both are printed. The first is the plan.

Asked for: CPU-hours within 25 %.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from dfray.config import BatchesSection, ClusterSection, FacesSection
from dfray.faces.extract import write_faces
from dfray.faces.shards import FacesStore
from dfray.planning.extraction import CONFIDENCE, ExtractionTotal, estimate_extraction
from dfray.planning.measure import measure_extraction
from dfray.session import session
from dfray.tables import VIDEOS
from tests.benchmarks.measure import holds
from tests.benchmarks.processes import CpuWatch, by_name
from tests.helpers.clips import write_clip
from tests.helpers.heads import background, draw_head, paste
from tests.helpers.rows import video_row

SIZES = {"web": ((854, 480), (640, 360)), "studio": ((1280, 720), (960, 540))}
FPS, CLIPS_OF_A_DATASET = 25, 8
SETTINGS = FacesSection()
WORKERS, TIMES, BOUND = 2, 20, 0.25
OURS = ("ray::MapWorker", "dfray.faces.child")


def pictures(width: int, height: int, count: int, seed: int) -> Iterator[np.ndarray]:
    """A head sways before a background that pans."""
    side = height // 2
    wide, head = background(width + 64, height, seed), draw_head(seed, side)
    for i in range(count):
        picture = wide[:, i % 64 : i % 64 + width].copy()
        x = (width - side) // 2 + round(width / 8 * np.sin(i / 40))
        paste(picture, head, x, height // 4)
        yield picture


def write_clips(folder: Path) -> dict[str, list[dict]]:
    """Clips of every dataset, as rows of VIDEOS."""
    rng = np.random.default_rng(0)
    rows: dict[str, list[dict]] = {}
    for dataset, sizes in SIZES.items():
        for number in range(CLIPS_OF_A_DATASET):
            seconds = int(np.clip(rng.lognormal(1.8, 0.6), 2, 20))
            path = folder / f"{dataset}-{number}.mp4"
            film = pictures(*sizes[number % 2], seconds * FPS, number)
            write_clip(path, film, fps=FPS, options={"preset": "veryfast", "crf": "23"})
            row = video_row(str(number), dataset=dataset, uri=str(path), duration_s=float(seconds))
            rows.setdefault(dataset, []).append(row)
    return rows


def draw_videos(clips: dict[str, list[dict]], count: int) -> pa.Table:
    """`count` VIDEOS, two thirds of them of the first dataset, each some clip under a name of its own."""
    rng = np.random.default_rng(1)
    first, second = clips
    rows = []
    for number in range(count):
        dataset = first if rng.random() < 2 / 3 else second
        clip = clips[dataset][rng.integers(len(clips[dataset]))]
        rows.append(clip | {"video_id": f"{dataset}/camera/{number:05d}"})
    return VIDEOS.from_rows(rows)


def estimate(videos: pa.Table, sample: int) -> tuple[ExtractionTotal, int]:
    """The plan, and how many videos it measured."""
    cost = measure_extraction(videos, SETTINGS, sample=sample, seconds=600)
    measured = sum(len(dataset.videos) for dataset in cost.datasets.values())
    return estimate_extraction(videos, cost, SETTINGS, BatchesSection()), measured


def run(videos: pa.Table, out: str) -> tuple[float, float, float]:
    """CPU seconds of workers and children, of them on videos in the children, and wall seconds."""
    with CpuWatch() as watch, session(ClusterSection(num_cpus=WORKERS + 1)):
        start = time.perf_counter()
        write_faces(videos, out, SETTINGS, workers=WORKERS)
        wall_s = time.perf_counter() - start
        spent = watch.look()
    cpu_s = sum(seconds for name, seconds in by_name(spent).items() if name in OURS)
    worked = sum(FacesStore(out).summaries()["cpu_s"].to_pylist())
    return cpu_s, worked, wall_s


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sample", type=int, default=24, help="videos to measure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dfray-bench-") as folder:
        clips = write_clips(Path(folder))
        videos = draw_videos(clips, TIMES * options.sample)
        load = os.getloadavg()[0]
        planned, measured = estimate(videos, options.sample)
        cpu_s, worked, wall_s = run(videos, f"{folder}/faces")
        again, _ = estimate(videos, options.sample)
        n_faces = sum(FacesStore(f"{folder}/faces").summaries()["n_faces"].to_pylist())
        stored = sum(file.stat().st_size for file in Path(folder, "faces").rglob("*.parquet"))
    expected = planned.cpu_s
    print(
        f"{measured} of {videos.num_rows} videos measured, then all extracted by {WORKERS} workers"
    )
    print(
        f"CPU: {expected.value:.1f} s estimated [{expected.low:.1f}, {expected.high:.1f}] "
        f"({CONFIDENCE:.0%}), {cpu_s:.1f} s spent, {worked:.1f} of them by the decoding children"
    )
    print(f"CPU: {again.cpu_s.value:.1f} s by the same sample after the run")
    print(f"faces: {planned.faces.value:,.0f} estimated, {n_faces:,} found")
    print(f"bytes: {planned.stored_bytes.value:,.0f} estimated, {stored:,} written")
    print(
        f"wall: {expected.value / WORKERS:.1f} s estimated for {WORKERS} free cores, {wall_s:.1f} s seen "
        f"with Ray's start; load {load:.1f} before, {os.getloadavg()[0]:.1f} after, on {os.cpu_count()} cores"
    )
    far = abs(expected.value / cpu_s - 1)
    return 0 if holds("CPU estimated is off by", far, at_most=BOUND) else 1


if __name__ == "__main__":
    sys.exit(main())
