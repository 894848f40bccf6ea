"""Clips as a camera takes them: a drawn head before a panning texture, 720p, in several codecs and GOPs.

Without a sensor's noise most bits are in key pictures, as nothing but the texture moves; with noise of four
levels the other pictures need bits of their own, as those of cameras do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.bench_extraction import FPS, SIZES, pictures
from tests.helpers.clips import write_clip

NOISE = 4.0
"""Standard deviation of the noise, levels of 8 bits."""


@dataclass(frozen=True)
class Clip:
    """A clip to be generated."""

    name: str
    codec: str
    options: dict[str, str]


def h264(gop: int) -> Clip:
    options = {"preset": "fast", "crf": "23", "g": str(gop), "bf": "3"}
    return Clip(f"h264_gop{gop}.mp4", "libx264", options)


HEVC_55 = Clip(
    "hevc_gop55.mp4",
    "libx265",
    {"preset": "ultrafast", "x265-params": "keyint=55:bframes=3:log-level=none"},
)
VP9_55 = Clip("vp9_gop55.webm", "libvpx-vp9", {"g": "55", "deadline": "realtime", "cpu-used": "8"})


def write(clip: Clip, folder: Path, noise: float = NOISE) -> Path:
    """Return the clip in `folder`, written there unless an earlier run has left it."""
    path = folder / clip.name
    if not path.exists():
        unfinished = path.with_stem(f"unfinished_{path.stem}")
        shown = filmed(*SIZES["720p"], noise)
        write_clip(unfinished, shown, fps=FPS, codec=clip.codec, options=clip.options)
        unfinished.rename(path)
    return path


def filmed(width: int, height: int, noise: float) -> Iterator[np.ndarray]:
    """The pictures of bench_extraction with a sensor's noise."""
    rng = np.random.default_rng(0)
    sensor = rng.normal(0, noise, (2 * height, 2 * width, 3)).round().astype(np.int16)
    for picture in pictures(width, height):
        y, x = rng.integers(height), rng.integers(width)
        yield (picture + sensor[y : y + height, x : x + width]).clip(0, 255).astype(np.uint8)
