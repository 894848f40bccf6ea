"""A corpus of damaged files, drawn anew each time: no run and no row is lost, in three ways through dfray.

    python -m tests.benchmarks.bench_hostile [--files 1000]

Random damage to files of twelve kinds of video and eight of pictures; among them named pipes, a socket, a
link to itself, empty files, a list of other files under a video's name, odd names and a URI of an unknown
scheme. They go through `dfray manifest check` (headers), the extraction, and a registered model's scorer.
Counted are rows and outcomes; asked for is one row for each file each time, and no error. Neither files nor
the seed are kept: what ends a decoder is no business of this repository.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
import shutil
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dfray.config import CorpusSection, FacesSection
from dfray.datasets.manifest import Manifest, build_manifest
from dfray.datasets.suffixes import is_picture
from dfray.faces.extract import ShardExtractor
from dfray.faces.model_file import (
    FILE_NAMES,
    LANDMARKS_FILE,
    detector_model_path,
    landmark_model_path,
)
from dfray.faces.shards import FacesStore
from dfray.render.data import show_manifest
from dfray.serving.admission import Admission
from dfray.serving.scorer import MediaScorer
from tests.helpers.hostile import damaged, odd_names, originals
from tests.helpers.tiny import RECIPE, save_bundle

OUTCOMES = ("ok", "no_face", "unreadable", "crashed", "timed_out")
UNKNOWN = "rtmp://host/clip.mp4"
SETTINGS = FacesSection(size_px=64, stall_limit_s=20.0)


def write_files(folder: Path, count: int) -> None:
    """Write `count` damaged files, each of a random kind."""
    rng = np.random.default_rng()
    with tempfile.TemporaryDirectory() as sound:
        kinds = list(originals(Path(sound)).items())
    for number in range(count):
        name, data = kinds[rng.integers(len(kinds))]
        (folder / f"{number:05d}-{name}").write_bytes(damaged(data, rng))


@contextlib.contextmanager
def with_oddities(folder: Path) -> Iterator[None]:
    """Add what is no file, or has a name that is more than text, for as long as the block lasts."""
    for name in ("pipe.mp4", "pipe.png"):
        os.mkfifo(folder / name)
    (folder / "self.mp4").symlink_to("self.mp4")
    (folder / "gone.mp4").symlink_to("nowhere.mp4")
    (folder / "list.mp4").write_text("ffconcat version 1.0\nfile 00000.mp4\n")
    for name in ("empty.mp4", "empty.png"):
        (folder / name).touch()
    for name in odd_names():
        (folder / f"{name}.mp4").write_text("no video")
    with socket.socket(socket.AF_UNIX) as bound:
        here = os.getcwd()
        os.chdir(folder)  # the path of a socket has 107 bytes
        bound.bind("socket.mp4")
        os.chdir(here)
        yield


def check(folder: Path, files: list[Path]) -> tuple[Manifest, Counter[str]]:
    """Build the manifest of all files, opening each, and print it to nowhere."""
    with (folder / "list.csv").open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["uri", "label", "dataset"])
        rows.writerows([str(file), "real", "[red]hostile[/]"] for file in files)
        rows.writerow([UNKNOWN, "real", ""])
    corpus = CorpusSection(reader="csv", root=str(folder / "list.csv"), split="test")
    manifest = build_manifest([corpus], opened=None)
    with contextlib.redirect_stdout(io.StringIO()):
        show_manifest(manifest)
    counts = Counter({"unreadable": len(manifest.unreadable)})
    counts["ok"] = manifest.videos.num_rows - len(manifest.unreadable)
    counts["left out"] = sum(item.uri == UNKNOWN for item in manifest.left_out)
    return manifest, counts


def extract(folder: Path, manifest: Manifest) -> Counter[str]:
    """Return the outcomes of an extraction; raises if a row is missing or doubled."""
    store = FacesStore(str(folder))
    store.claim(SETTINGS)
    extractor = ShardExtractor(store, SETTINGS, "summaries")
    rows = [
        row for table in extractor.extract("test-0", manifest.videos) for row in table.to_pylist()
    ]
    extractor.close()
    assert sorted(row["video_id"] for row in rows) == sorted(
        manifest.videos["video_id"].to_pylist()
    )
    return Counter(row["status"] for row in rows)


def score(folder: Path, files: list[Path]) -> Counter[str]:
    """Return the outcomes of scoring: videos by path, every second picture by its bytes."""
    bundle, detector = folder / "bundle", folder / "detector"
    detector.mkdir()
    shutil.copyfile(detector_model_path("full"), detector / FILE_NAMES["full"])
    shutil.copyfile(landmark_model_path(), detector / LANDMARKS_FILE)
    faces = RECIPE.faces.model_copy(update={"stall_limit_s": SETTINGS.stall_limit_s})
    save_bundle(bundle, RECIPE.model_copy(update={"faces": faces}))
    scorer = MediaScorer(str(bundle), str(detector), Admission())
    inputs = [
        file.read_bytes() if is_picture(file.name) and file.is_file() and number % 2 else str(file)
        for number, file in enumerate(files)
    ]
    rows = scorer.predict(inputs)
    scorer.close()
    assert len(rows) == len(files)
    return Counter(rows["outcome"])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=1000)
    count = parser.parse_args().files
    print(
        f"{'':<12}{'files':>8}{'rows':>8}",
        *(f"{name:>11}" for name in (*OUTCOMES, "left out", "s")),
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "files")
        folder.mkdir()
        write_files(folder, count)
        with with_oddities(folder):
            files = sorted(folder.iterdir())
            started = time.monotonic()
            manifest, counts = check(folder, files)
            print_line("check", len(files) + 1, counts, started)
            started = time.monotonic()
            extracted = extract(Path(place, "faces"), manifest)
            print_line("extract", manifest.videos.num_rows, extracted, started)
            started = time.monotonic()
            scored = score(Path(place), files)
            print_line("score", len(files), scored, started)
    lost = [
        len(files) + 1 - counts.total(),
        manifest.videos.num_rows - extracted.total(),
        len(files) - scored.total(),
    ]
    print(f"rows lost or doubled: {', '.join(map(str, lost))}")
    return 1 if any(lost) else 0


def print_line(name: str, n_files: int, counts: Counter[str], started: float) -> None:
    """Print the counts of one way through."""
    cells = [f"{counts[outcome]:>11}" for outcome in (*OUTCOMES, "left out")]
    seconds = f"{time.monotonic() - started:>11.0f}"
    print(f"{name:<12}{n_files:>8}{counts.total():>8}", *cells, seconds, flush=True)


if __name__ == "__main__":
    sys.exit(main())
