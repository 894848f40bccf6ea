"""Decoding the sampled pictures, against decoding every packet.

    python -m tests.benchmarks.bench_decode

Generated clips: 720p, 20 s, 30 fps, a drawn head that moves before a textured background that moves too,
with a sensor's noise, in several codecs and lengths of GOP. One picture a second. CPU time on one core, the
median of interleaved repeats:

    ours           timestamps, decoding and RGB of the sampled pictures
    every packet   the same pictures, with every packet decoded but for pictures that no other needs: what
                   dfray did until November 2026

The pictures of both are the same to the bit, which is checked.
"""

from __future__ import annotations

import argparse
import bisect
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dfray.faces.containers import is_rewound, open_video
from dfray.faces.conversion import PictureConverter
from dfray.faces.decode import sampled_pictures
from tests.benchmarks.filmed import HEVC_55, VP9_55, h264, write
from tests.benchmarks.measure import holds, interleaved, use_one_core

SKIPPED_BEFORE = {"h264", "mpeg1video", "mpeg2video", "mpeg4"}
"""Codecs of which pictures that no other needs were left out."""


CLIPS = (
    (h264(25), 0.70),
    (h264(55), 0.80),
    (h264(250), 1.05),
    (h264(30), 0.55),
    (HEVC_55, 0.70),
    (VP9_55, 0.75),
)
"""Clips, each with the share of every packet's cost that it may take."""


def ours(path: Path) -> Iterator[np.ndarray]:
    for picture in sampled_pictures(str(path), 1.0):
        assert picture.image is not None
        yield picture.image


def every_packet(path: Path) -> Iterator[np.ndarray]:
    with contextlib.ExitStack() as stack:
        container, stream = stack.enter_context(open_video(str(path)))
        times = sorted(packet.pts for packet in container.demux(stream) if packet.size)
        last_due = int((times[-1] - times[0]) * stream.time_base)
        due = [times[0] + k / stream.time_base for k in range(last_due + 1)]
        sampled = {times[bisect.bisect_right(times, at) - 1] for at in due}
        if not is_rewound(container, stream):
            container, stream = stack.enter_context(open_video(str(path)))
        context, converter = stream.codec_context, PictureConverter(container, stream)
        context.thread_count = 1
        for packet in container.demux(stream):
            if context.codec.canonical_name in SKIPPED_BEFORE:
                context.skip_frame = "DEFAULT" if packet.pts in sampled else "NONREF"
            for frame in context.decode(packet):
                if frame.pts in sampled:
                    yield converter.picture(frame)


def compare(path: Path, at_most: float, repeats: int) -> bool:
    """Print the line of one clip; return True if its bound holds."""
    pairs = zip(ours(path), every_packet(path), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    ways = {
        "ours": lambda: sum(1 for _ in ours(path)),
        "every packet": lambda: sum(1 for _ in every_packet(path)),
    }
    spent = interleaved(ways, repeats)
    print(f"{path.name}: " + ", ".join(f"{way} {s:.2f} s" for way, s in spent.items()))
    ratio = spent["ours"] / spent["every packet"]
    return holds(f"  ours/every packet, {path.name}", ratio, at_most=at_most)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    use_one_core()
    with tempfile.TemporaryDirectory(prefix="dfray-bench-") as folder:
        results = [compare(write(clip, Path(folder)), bound, repeats) for clip, bound in CLIPS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
