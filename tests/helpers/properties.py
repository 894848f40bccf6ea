"""Drawn properties of videos, alike in both classes unless a difference is planted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

Row = dict[str, Any]


def drawn_properties(
    seed: int,
    n_videos: int = 100,
    trained: tuple[str, ...] = ("a",),
    plant: Callable[[Row], None] = lambda row: None,
) -> pa.Table:
    """Return properties of videos of `trained` in train and of dataset a in test; half are fake.

    Args:
        plant: changes a row.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for split, dataset in [*(("train", name) for name in trained), ("test", "a")]:
        for number in range(n_videos):
            row = {
                "video_id": f"{dataset}/{split}/{number}",
                "dataset": dataset,
                "split": split,
                "label": number % 2,
                "identity": None,
                "source_video": None,
                "codec": str(rng.choice(["h264", "hevc"])),
                "width": float(rng.choice([640, 1280, 1920])),
                "height": float(rng.choice([360, 720])),
                "fps": float(rng.choice([25, 30])),
                "bit_rate": float(rng.lognormal(14, 0.5)),
                "pixel_aspect": 1.0 if rng.random() < 0.5 else None,
                "length_s": float(rng.uniform(5, 20)),
                "file_bytes": float(rng.lognormal(15, 1)),
                "face_px": float(rng.uniform(50, 300)),
                "quality": float(rng.lognormal(-2, 0.5)),
            }
            plant(row)
            rows.append(row)
    return pa.Table.from_pylist(rows)
