"""The extraction stage under Ray Data against the same code in a plain loop, on one core.

    python -m tests.benchmarks.bench_stage

The same videos, cut into the same shards, into an empty store each time:

    plain    a loop over the shards calls the stage's actor class, in a process of its own
    ray      `write_faces` with one worker

CPU time once running: from the moment that the first shard is committed to the last one's, so that neither
the start of Ray, nor of the worker, nor of the decoding child is in it, and as many shards on both sides.
`stage` is the worker and its child. `beside` is all else that Ray keeps: the driver's loop, raylet, GCS,
dashboard and agents; they serve however many workers there are, so the bound leaves them out, and they
are printed. Everything is kept to one core; the runs take turns; medians.

Asked for: stage at most 1.1 x plain.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from dfray.config import ClusterSection, FacesSection
from dfray.faces.extract import ShardExtractor, write_faces
from dfray.faces.shard_plan import plan_shards
from dfray.faces.shards import FacesStore
from dfray.session import session
from dfray.tables import SUMMARIES, VIDEOS
from tests.benchmarks.bench_plan import OURS, pictures
from tests.benchmarks.measure import holds, use_one_core
from tests.benchmarks.processes import SPAWNED, CpuWatch, Spent, by_name
from tests.helpers.clips import write_clip
from tests.helpers.rows import video_row

WIDTH, HEIGHT, FPS, SECONDS = 854, 480, 25, 10
SETTINGS = FacesSection(shard_mb=4)
BOUND = 1.1


@dataclass(frozen=True)
class Once:
    """CPU seconds between the first commit and the last."""

    stage: float
    overhead: float
    shards: int


def make_videos(folder: Path, count: int) -> pa.Table:
    """VIDEOS: one clip under `count` names."""
    film = pictures(WIDTH, HEIGHT, SECONDS * FPS, 0)
    clip = write_clip(folder / "clip.mp4", film, fps=FPS, options={"preset": "veryfast"})
    rows = [video_row(f"{k:04d}", uri=str(clip), duration_s=float(SECONDS)) for k in range(count)]
    return VIDEOS.from_rows(rows)


def plainly(videos: pa.Table, out: str) -> None:
    store = FacesStore(out)
    store.claim(SETTINGS)
    done = SUMMARIES.schema.empty_table()
    pending, _ = plan_shards(videos, SETTINGS, done, workers=1, seed=0)
    stage = ShardExtractor(store, SETTINGS, "summaries")
    for plan in pending:
        for _ in stage.extract(plan.shard, plan.videos):
            pass
    stage.close()


def in_a_process(videos: pa.Table, out: str) -> None:
    process = multiprocessing.get_context("spawn").Process(target=plainly, args=(videos, out))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the plain loop ended with {process.exitcode}")


def under_ray(videos: pa.Table, out: str) -> None:
    write_faces(videos, out, SETTINGS, workers=1)


def once(
    route: Callable[[pa.Table, str], None], videos: pa.Table, out: str, watch: CpuWatch
) -> Once:
    """Run one way, and look at all processes at every commit."""
    samples: list[tuple[int, dict[int, Spent]]] = [(0, {})]
    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(0.05):
            committed = len(list(Path(out, "videos").glob("*.parquet")))
            if committed > samples[-1][0]:
                samples.append((committed, watch.look()))

    thread = threading.Thread(target=follow)
    thread.start()
    route(videos, out)
    stop.set()
    thread.join()
    (first, before), (last, after) = samples[1], samples[-1]
    spent = by_name(after, before)
    stage = sum(spent[name] for name in (*OURS, SPAWNED))
    return Once(stage, sum(spent.values()) - stage, last - first)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    use_one_core()
    runs: dict[Callable, list[Once]] = {in_a_process: [], under_ray: []}
    with (
        tempfile.TemporaryDirectory(prefix="dfray-bench-") as folder,
        CpuWatch() as watch,
        session(ClusterSection(num_cpus=2)),
    ):
        videos = make_videos(Path(folder), options.videos)
        for repeat in range(options.repeats):
            for route in runs:
                runs[route].append(
                    once(route, videos, f"{folder}/{route.__name__}-{repeat}", watch)
                )
                print(f"{route.__name__:<14}{runs[route][-1]}", flush=True)
    plain, ray = (
        statistics.median(run.stage / run.shards for run in runs[route])
        for route in (in_a_process, under_ray)
    )
    overhead = statistics.median(run.overhead / run.shards for run in runs[under_ray])
    print(
        f"CPU s a shard: plain {plain:.3f}, under Ray Data {ray:.3f}, and {overhead:.3f} beside it"
    )
    return 0 if holds("stage under Ray Data / plain", ray / plain, at_most=BOUND) else 1


if __name__ == "__main__":
    sys.exit(main())
