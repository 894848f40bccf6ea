"""A small corpus of real clips of drawn heads, as the folder reader expects it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from dfray.config import CorpusSection
from dfray.datasets.manifest import build_manifest
from tests.helpers.clips import talking_head, write_clip
from tests.helpers.heads import scatter

QUICK = {"preset": "veryfast"}
"""Options of x264 that halve its time."""


def clip_path(root: Path, number: int, split: str) -> Path:
    """Real and fake by turns."""
    path = root / split / ("FS" if number % 2 else "real") / f"{number:03d}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_corpus(
    root: Path, count: int, *, seconds: int = 3, splits: tuple[str, ...] = ("train",)
) -> pa.Table:
    """`count` clips of a moving head, a face in each second; returns their VIDEOS."""
    for i in range(count):
        path = clip_path(root, i, splits[i // 2 % len(splits)])
        write_clip(path, talking_head(2 * seconds, seed=i), fps=2, options=QUICK)
    return videos_of(root)


def write_crowds(
    root: Path, count: int, *, seconds: int = 4, splits: tuple[str, ...] = ("train",)
) -> pa.Table:
    """`count` clips of twenty faces a second before a moving camera: much data at little cost."""
    picture, _ = scatter(20, 80, 640, 480, seed=1)
    for i in range(count):
        # Farther than 24 pixels the border would cut heads in two.
        pictures = [np.roll(picture, k % 24, axis=1) for k in range(i, i + seconds)]
        path = clip_path(root, i, splits[i // 2 % len(splits)])
        write_clip(path, pictures, fps=1, options=QUICK)
    return videos_of(root)


def videos_of(root: Path | str) -> pa.Table:
    return build_manifest([CorpusSection(reader="folder", root=str(root), dataset="toy")]).videos
