"""All work on a sampled picture but its decoding, against an earlier build.

    git worktree add ../before 6bfe815
    python -m tests.benchmarks.bench_picture --before ../before

Detection, crop, the way from the child process to its parent, and the Parquet shard: the extraction stage
as an actor runs it, with 20 pictures of 720p in place of the decoder (the head of `bench_extraction`, one
picture a second). CPU time on one core, children included, start-up apart; both builds in turn, the median
of the rounds. Without --before it prints the time of this build; videos that are named give their pictures
instead, one a second.

Asked for: at most 0.8 of the build before.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from dfray.faces.decode import sampled_pictures
from tests.benchmarks.bench_extraction import FPS, SIZES, pictures
from tests.benchmarks.builds import ROOT, running_builds
from tests.benchmarks.measure import holds, medians, use_one_core

BOUND = 0.8
VIDEOS_PER_SHARD = 5


def sampled_from(video: Path) -> Iterator[np.ndarray]:
    """Yield the pictures of a video, one a second."""
    for picture in sampled_pictures(str(video), 1.0):
        assert picture.image is not None
        yield picture.image


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path, nargs="*", help="instead of the generated head")
    parser.add_argument("--before", type=Path, help="checkout of the build to compare with")
    parser.add_argument("--rounds", type=int, default=11)
    args = parser.parse_args()
    use_one_core()
    checkouts = {"now": ROOT} | ({"before": args.before.resolve()} if args.before else {})
    with tempfile.TemporaryDirectory(prefix="dfray-bench-") as folder:
        path = Path(folder, "pictures.npy")
        sampled = [picture for video in args.videos for picture in sampled_from(video)]
        sampled = sampled or list(pictures(*SIZES["720p"]))[::FPS]
        np.save(path, np.stack(sampled))
        with running_builds(checkouts, "build_stage.py", VIDEOS_PER_SHARD, path) as stages:
            clocks = {name: partial(stage.answer, path) for name, stage in stages.items()}
            spent = medians(clocks, args.rounds)
    print(
        "; ".join(
            f"{name}: {s / len(sampled) * 1000:.2f} ms a picture" for name, s in spent.items()
        )
    )
    if not args.before:
        return 0
    return 0 if holds("now/before", spent["now"] / spent["before"], at_most=BOUND) else 1


if __name__ == "__main__":
    sys.exit(main())
