"""Face extraction against decoding alone, and against the usual script.

    python -m tests.benchmarks.bench_extraction

Generated clips: 20 s, 30 fps, H.264 with GOP 250 and B-frames, a drawn head that moves before a
textured background that moves too. One frame a second, full-range detector, default storage. CPU time
(user and system, children included) on one core, start-up apart, the median of interleaved repeats:

    ours     the extraction stage as an actor runs it: decode in its supervised child, detect, crop,
             raw crops under lz4 in a Parquet shard of 5 videos (real shards hold hundreds)
    aligned  the same with the CLIP paper's faces: the largest of a frame, aligned by five points, 256 px
    decode   the exact, skipping decode of the same frames to RGB, and nothing else
    script   OpenCV reads every frame; dlib's HOG detector (upsampled once) on the due ones; crops to PNG

Asked for at 720p: ours at most 1.5 x decode, and at most a tenth of script.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import psutil

from dfray.config import FacesSection
from dfray.faces.crop import crop_square
from dfray.faces.decode import sampled_pictures
from dfray.faces.extract import ShardExtractor
from dfray.faces.shards import FacesStore
from dfray.tables import VIDEOS
from tests.benchmarks.measure import holds, use_one_core
from tests.helpers.clips import write_clip
from tests.helpers.heads import background, draw_head, paste
from tests.helpers.rows import video_row

SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
FPS, SECONDS = 30, 20
BOUND_SIZE, OURS_TO_DECODE, SCRIPT_TO_OURS = "720p", 1.5, 10.0
VIDEOS_PER_SHARD = 5
STAGES = ("ours", "aligned")
SETTINGS = FacesSection()
ALIGNED = FacesSection(keep="largest", align="five_points", size_px=256)


def pictures(width: int, height: int) -> Iterator[np.ndarray]:
    """A head 0.55 of the height swings before a background that pans."""
    n = FPS * SECONDS
    wide = background(width + n, height + n // 4, seed=1)
    side = round(0.55 * height)
    head = draw_head(1, side)
    for i in range(n):
        picture = wide[i // 4 : i // 4 + height, i : i + width].copy()
        x = (width - side) // 2 + round(0.15 * width * np.sin(i / 40))
        paste(picture, head, x, (height - side) // 2 + round(0.1 * height * np.sin(i / 23)))
        yield picture


def make_clip(folder: Path, name: str) -> Path:
    options = {"preset": "fast", "crf": "23", "g": "250", "bf": "3"}
    return write_clip(folder / f"{name}.mp4", pictures(*SIZES[name]), fps=FPS, options=options)


class Ours:
    """The extraction stage in this process, with its child."""

    def __init__(self, folder: Path, settings: FacesSection) -> None:
        self._store = FacesStore(str(folder / "faces"))
        self._store.claim(settings)
        self._stage = ShardExtractor(self._store, settings, "summaries", None)
        self._runs = 0

    def __call__(self, clip: Path) -> int:
        self._runs += 1
        videos = [
            video_row(str(i), uri=str(clip), duration_s=float(SECONDS))
            for i in range(VIDEOS_PER_SHARD)
        ]
        (summaries,) = self._stage.extract(f"run-{self._runs}", VIDEOS.from_rows(videos))
        return sum(summaries.column("n_faces").to_pylist()) // VIDEOS_PER_SHARD


def decode(clip: Path) -> int:
    return sum(picture.image is not None for picture in sampled_pictures(str(clip), 1.0))


class Script:
    """The way of public repositories: OpenCV, dlib's HOG detector and PNG files."""

    def __init__(self, folder: Path) -> None:
        import dlib

        self._find = dlib.get_frontal_face_detector()
        self._folder = folder

    def __call__(self, clip: Path) -> int:
        capture = cv2.VideoCapture(str(clip))
        faces = number = 0
        while True:
            is_read, frame = capture.read()
            if not is_read:
                return faces
            if number % FPS == 0:
                for box in self._find(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), 1):
                    around = (box.left(), box.top(), box.width(), box.height())
                    x, y, side = crop_square(around, frame.shape[1], frame.shape[0], 1.3)
                    crop = cv2.resize(frame[y : y + side, x : x + side], (224, 224))
                    cv2.imwrite(str(self._folder / f"{number:06}_{faces}.png"), crop)
                    faces += 1
            number += 1


def cpu_seconds(work: Callable[[Path], int], clip: Path) -> tuple[float, int]:
    """CPU time of this process and its children, and the faces or frames found."""
    before = _cpu_now()
    n_faces = work(clip)
    return _cpu_now() - before, n_faces


def _cpu_now() -> float:
    children = psutil.Process().children(recursive=True)
    return time.process_time() + sum(sum(child.cpu_times()[:2]) for child in children)


def compare(name: str, folder: Path, repeats: int, script_repeats: int) -> bool:
    """Print the line of one size; return whether its bounds hold."""
    clip = make_clip(folder, name)
    methods: dict[str, Callable[[Path], int]] = {
        "ours": Ours(folder / name, SETTINGS),
        "aligned": Ours(folder / f"{name}-aligned", ALIGNED),
        "decode": decode,
        "script": Script(folder),
    }
    spent: dict[str, list[float]] = {method: [] for method in methods}
    n_faces = {}
    for method in STAGES:
        methods[method](clip)  # starts the child
    for repeat in range(max(repeats, script_repeats)):
        for method, work in methods.items():
            if repeat < (script_repeats if method == "script" else repeats):
                seconds, n_faces[method] = cpu_seconds(work, clip)
                spent[method].append(seconds / (VIDEOS_PER_SHARD if method in STAGES else 1))
    dfray_s, aligned_s, decode_s, script_s = (
        statistics.median(spent[method]) for method in methods
    )
    megabits = clip.stat().st_size * 8e-6 / SECONDS
    print(
        f"{name:>6} ({megabits:4.1f} Mbit/s): ours {dfray_s:6.2f} s, decode {decode_s:6.2f} s, "
        f"aligned/ours {aligned_s / dfray_s:4.2f}, "
        f"script {script_s:7.2f} s; ours/decode {dfray_s / decode_s:4.2f} (decode is "
        f"{decode_s / dfray_s:3.0%} of ours), script/ours {script_s / dfray_s:5.1f}; faces: "
        f"ours {n_faces['ours']}, script {n_faces['script']} in {n_faces['decode']} frames",
        flush=True,
    )
    if name != BOUND_SIZE:
        return True
    small = holds(f"ours/decode at {name}", dfray_s / decode_s, at_most=OURS_TO_DECODE)
    return holds(f"script/ours at {name}", script_s / dfray_s, at_least=SCRIPT_TO_OURS) and small


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--script-repeats", type=int, default=1)
    args = parser.parse_args()
    use_one_core()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="dfray-bench-") as folder:
        results = [
            compare(name, Path(folder), args.repeats, args.script_repeats) for name in args.sizes
        ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
