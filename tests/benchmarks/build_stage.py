"""One build's extraction stage, driven by `builds` over standard input and output.

    PYTHONPATH=<checkout> python build_stage.py <videos of a shard> [pictures.npy]

For every line that comes in, a shard of videos is extracted, all of them the video at the URI in the line,
and the CPU seconds of a video go out, child included. With pictures, they are extracted in place of what the
video shows: nothing is decoded. It uses only what builds since 6bfe815 have in common. With a file descriptor
as last argument it is the child that detects.
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


def serve_child(pictures: np.ndarray) -> None:
    """Run the child's program on `pictures`, uint8 (N, height, width, 3), instead of decoded ones."""

    def sampled_pictures(*args: Any, **options: Any) -> Iterator[decode.Picture]:
        for k, picture in enumerate(pictures):
            yield decode.Picture(k, float(k), picture)

    decode.sampled_pictures = sampled_pictures
    child.main()


def serve_stage(n_videos: int, *pictures: str) -> None:
    """Extract a shard for every line of standard input."""
    instead = [(sys.executable, __file__, str(n_videos), path) for path in pictures]
    with tempfile.TemporaryDirectory() as folder:
        store, settings = FacesStore(folder), FacesSection()
        store.claim(settings)
        stage = ShardExtractor(
            store,
            settings,
            "summaries",
            None,
            lambda section: SupervisedExtractor(section, *instead),
        )
        for number, line in enumerate(sys.stdin):
            before_s = _cpu_s()
            videos = [_video(f"{number}-{i}", line.strip()) for i in range(n_videos)]
            (summaries,) = stage.extract(f"run-{number}", VIDEOS.from_rows(videos))
            assert set(summaries["status"].to_pylist()) <= {"ok", "no_face"}
            print((_cpu_s() - before_s) / n_videos, flush=True)
        stage.close()


def _video(name: str, uri: str) -> dict[str, object]:
    names = {"dataset": "demo", "split": "train", "label": 0, "category": "real", "method": "real"}
    return names | {"video_id": f"demo/real/{name}", "uri": uri, "duration_s": 20.0}


def _cpu_s() -> float:
    children = psutil.Process().children(recursive=True)
    return time.process_time() + sum(sum(child.cpu_times()[:2]) for child in children)


if __name__ == "__main__":
    cv2.setNumThreads(1)
    if len(sys.argv) > 3:
        serve_child(np.load(sys.argv[2]))
    else:
        serve_stage(int(sys.argv[1]), *sys.argv[2:])
