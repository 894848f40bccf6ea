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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dfray.faces.containers import is_rewound, open_video
from dfray.faces.conversion import PictureConverter
from dfray.faces.decode import sampled_pictures
from tests.benchmarks.bench_extraction import FPS, SIZES, pictures
from tests.benchmarks.measure import holds, interleaved, use_one_core
from tests.helpers.clips import write_clip

SKIPPED_BEFORE = {"h264", "mpeg1video", "mpeg2video", "mpeg4"}
"""Codecs of which pictures that no other needs were left out."""


@dataclass(frozen=True)
class Clip:
    """A clip to be generated, and the share of every packet's cost that it may take."""

    name: str
    codec: str
    options: dict[str, str]
    at_most: float


def filmed(width: int, height: int) -> Iterator[np.ndarray]:
    """The pictures of bench_extraction with a sensor's noise: without it most bits are in key pictures."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 4, (2 * height, 2 * width, 3)).round().astype(np.int16)
    for picture in pictures(width, height):
        y, x = rng.integers(height), rng.integers(width)
        yield (picture + noise[y : y + height, x : x + width]).clip(0, 255).astype(np.uint8)


def h264(gop: int, at_most: float) -> Clip:
    options = {"preset": "fast", "crf": "23", "g": str(gop), "bf": "3"}
    return Clip(f"h264_gop{gop}.mp4", "libx264", options, at_most)


CLIPS = (
    h264(25, 0.70),
    h264(55, 0.80),
    h264(250, 1.05),
    h264(30, 0.55),
    Clip(
        "hevc_gop55.mp4",
        "libx265",
        {"preset": "ultrafast", "x265-params": "keyint=55:bframes=3:log-level=none"},
        0.70,
    ),
    Clip(
        "vp9_gop55.webm", "libvpx-vp9", {"g": "55", "deadline": "realtime", "cpu-used": "8"}, 0.75
    ),
)


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


def compare(clip: Clip, folder: Path, repeats: int) -> bool:
    """Print the line of one clip; return True if its bound holds."""
    shown = filmed(*SIZES["720p"])
    path = write_clip(folder / clip.name, shown, fps=FPS, codec=clip.codec, options=clip.options)
    pairs = zip(ours(path), every_packet(path), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    ways = {
        "ours": lambda: sum(1 for _ in ours(path)),
        "every packet": lambda: sum(1 for _ in every_packet(path)),
    }
    spent = interleaved(ways, repeats)
    print(f"{clip.name}: " + ", ".join(f"{way} {s:.2f} s" for way, s in spent.items()))
    ratio = spent["ours"] / spent["every packet"]
    return holds(f"  ours/every packet, {clip.name}", ratio, at_most=clip.at_most)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    use_one_core()
    with tempfile.TemporaryDirectory(prefix="dfray-bench-") as folder:
        results = [compare(clip, Path(folder), repeats) for clip in CLIPS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
