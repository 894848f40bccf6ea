"""The whole extraction of 720p clips, against an earlier build and against decoding alone.

    git worktree add ../before 6bfe815
    python -m tests.benchmarks.bench_whole --before ../before

The clips of `bench_decode`, one picture a second: decoded, detected, cropped and stored as an actor of the
extraction stage does. CPU time of a clip on one core, children included, start-up apart; the median of
interleaved rounds:

    now            this build
    before         the other checkout
    decode alone   timestamps, decoding and RGB of the sampled pictures, by this build

For GOP 250, 1.25 x decoding alone is the goal. Without --before that ratio is all that is printed.
`--noise 0` takes clips without a sensor's noise, `--keep FOLDER` leaves the clips there for another run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from dfray.faces.decode import sampled_pictures
from tests.benchmarks.builds import ROOT, Build, running_builds
from tests.benchmarks.filmed import HEVC_55, NOISE, VP9_55, h264, write
from tests.benchmarks.measure import cpu_seconds, holds, medians, use_one_core

AT_MOST = ((h264(25), 0.78), (h264(55), 0.86), (HEVC_55, 0.78), (VP9_55, None), (h264(250), None))
"""Clips, each with the share of the cost before issue 10 that it may take, if one was asked for."""
VIDEOS_PER_SHARD = 2


def compare(path: Path, stages: dict[str, Build], rounds: int, at_most: float | None) -> bool:
    """Print the lines of one clip; return True if its bound holds."""
    clocks: dict[str, Callable[[], float]] = {
        name: partial(stage.answer, path) for name, stage in stages.items()
    }
    clocks["decode alone"] = partial(cpu_seconds, partial(decode, path))
    spent = medians(clocks, rounds)
    print(f"{path.name}: " + ", ".join(f"{name} {s:.3f} s" for name, s in spent.items()))
    print(f"  now/decode alone: {spent['now'] / spent['decode alone']:.2f}", flush=True)
    if "before" not in spent:
        return True
    ratio = spent["now"] / spent["before"]
    if at_most is None:
        print(f"  now/before: {ratio:.2f}", flush=True)
        return True
    return holds("  now/before", ratio, at_most=at_most)


def decode(path: Path) -> None:
    """Decode the sampled pictures."""
    assert all(picture.image is not None for picture in sampled_pictures(str(path), 1.0))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path, nargs="*", help="instead of the generated clips")
    parser.add_argument("--before", type=Path, help="checkout of the build to compare with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--noise", type=float, default=NOISE, help="levels, of the generated clips")
    parser.add_argument("--keep", type=Path, help="folder for the generated clips, one per noise")
    args = parser.parse_args()
    use_one_core()
    checkouts = {"now": ROOT} | ({"before": args.before.resolve()} if args.before else {})
    with tempfile.TemporaryDirectory(prefix="dfray-bench-") as folder:
        kept = args.keep or Path(folder)
        bounds: list[tuple[Path, float | None]] = [(path.resolve(), None) for path in args.videos]
        bounds = bounds or [(write(clip, kept, args.noise), bound) for clip, bound in AT_MOST]
        with running_builds(checkouts, "build_stage.py", VIDEOS_PER_SHARD) as stages:
            results = [compare(path, stages, args.rounds, bound) for path, bound in bounds]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
