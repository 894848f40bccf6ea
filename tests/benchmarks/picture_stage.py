"""One build's extraction of decoded pictures, driven by `bench_picture` over standard input and output.

    PYTHONPATH=<checkout> python picture_stage.py <pictures.npy>

For every line that comes in, a shard of VIDEOS_PER_SHARD videos is extracted, and the CPU milliseconds per
picture go out, child included. It uses only what builds since 6bfe815 have in common. With a file descriptor
as second argument it is the child that detects, in which decoding is replaced by the pictures.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import psutil

from dfray.config import FacesSection
from dfray.faces import child, decode
from dfray.faces.extract import ShardExtractor
from dfray.faces.shards import FacesStore
from dfray.faces.supervise import SupervisedExtractor
from dfray.tables import VIDEOS

VIDEOS_PER_SHARD = 5


def serve_child(pictures: np.ndarray) -> None:
    """Run the child's program on `pictures`, uint8 (N, height, width, 3), instead of decoded ones."""

    def sampled_pictures(*args: Any, **options: Any) -> Iterator[decode.Picture]:
        for k, picture in enumerate(pictures):
            yield decode.Picture(k, float(k), picture)

    decode.sampled_pictures = sampled_pictures
    child.main()


def serve_stage(path: str) -> None:
    """Extract a shard for every line of standard input."""
    n_pictures = len(np.load(path, mmap_mode="r")) * VIDEOS_PER_SHARD
    command = (sys.executable, __file__, path)
    with tempfile.TemporaryDirectory() as folder:
        store, settings = FacesStore(folder), FacesSection()
        store.claim(settings)
        stage = ShardExtractor(
            store, settings, "summaries", None, lambda given: SupervisedExtractor(given, command)
        )
        for number, _ in enumerate(sys.stdin):
            before_s = _cpu_s()
            videos = [_video(f"{number}-{i}") for i in range(VIDEOS_PER_SHARD)]
            list(stage.extract(f"run-{number}", VIDEOS.from_rows(videos)))
            print((_cpu_s() - before_s) / n_pictures * 1000, flush=True)
        stage.close()


def _video(name: str) -> dict[str, object]:
    names = {"dataset": "demo", "split": "train", "label": 0, "category": "real", "method": "real"}
    return names | {"video_id": f"demo/real/{name}", "uri": __file__, "duration_s": 20.0}


def _cpu_s() -> float:
    children = psutil.Process().children(recursive=True)
    return time.process_time() + sum(sum(child.cpu_times()[:2]) for child in children)


if __name__ == "__main__":
    cv2.setNumThreads(1)
    if len(sys.argv) > 2:
        serve_child(np.load(sys.argv[1]))
    else:
        serve_stage(sys.argv[1])
