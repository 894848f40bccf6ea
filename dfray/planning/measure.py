"""Cost of face extraction, measured here by the extraction stage itself on some videos of each dataset.

The stage's actor runs in this process, with its child that decodes and detects, and writes real shards
into a temporary folder. `_Metered` between the two records the cost of each video, and starts no further
one when its dataset's share of the time is spent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa

from dfray import storage
from dfray.config import FacesSection
from dfray.errors import ManifestError
from dfray.faces.crop_codec import decode_images
from dfray.faces.extract import ShardExtractor
from dfray.faces.shard_file import iter_row_groups
from dfray.faces.shard_plan import expected_faces
from dfray.faces.shards import FacesStore
from dfray.faces.supervise import RECYCLE_AFTER, SupervisedExtractor
from dfray.faces.video import Frame, VideoEnd

OnVideo = Callable[[int, str], None]
MIN_VIDEOS = 2
"""Videos of each dataset that are measured at least, as one gives no spread."""


@dataclass(frozen=True)
class VideoCost:
    """Cost of one video of the sample.

    Attributes:
        expected: frames by the manifest; those sampled, if the video was broken off.
        frames: sampled.
        cpu_s: CPU seconds of the stage and its child, without their start.
        reason: why the video gave no frame, if it gave none.
    """

    expected: int
    frames: int
    faces: int
    cpu_s: float
    reason: str | None


@dataclass(frozen=True)
class DatasetCost:
    """Cost of the sampled videos of a dataset.

    Attributes:
        bytes_per_face: of its shards, faces, outcomes and summaries together; 0 without a face.
    """

    videos: tuple[VideoCost, ...]
    bytes_per_face: float


@dataclass(frozen=True)
class ExtractionCost:
    """Cost of extraction on one core of this machine.

    Attributes:
        datasets: by name.
        read_per_cpu_s: faces read back from shards per CPU second, as training reads them.
        memory_bytes: peak of the child that decodes and detects, and memory that the stage adds.
    """

    datasets: dict[str, DatasetCost]
    read_per_cpu_s: float
    memory_bytes: int

    def __post_init__(self) -> None:
        costs = [video for dataset in self.datasets.values() for video in dataset.videos]
        if not any(video.frames for video in costs):
            reason = next((video.reason for video in costs if video.reason), "it gave no frame")
            raise ManifestError(
                f"None of the {len(costs)} videos of the sample could be read; the first: {reason}.",
                "Check that this machine can read them, or measure on others with --clips FOLDER.",
            )


def measure_extraction(
    videos: pa.Table,
    settings: FacesSection,
    *,
    sample: int,
    seconds: float,
    seed: int = 0,
    on_video: OnVideo = lambda *_: None,
) -> ExtractionCost:
    """Extract random videos of every dataset until `sample` are done or the time is spent; return the cost.

    Half of the videos and of the time is divided equally among the datasets, and half by their frames.

    Args:
        videos: VIDEOS.
        sample: videos of all datasets together.
        seconds: for all; a started video is finished unless it takes its dataset's time again.
        on_video: called with the number of videos done, and the dataset.

    Raises:
        ManifestError: no video of the sample could be read.
        ModelFileError: the detector's model is missing, not the expected one, or cannot be loaded.
    """
    drawn = draw(videos, settings, sample, seed)
    before = psutil.Process().memory_info().rss
    datasets: dict[str, DatasetCost] = {}
    reading = _Reading()
    with (
        storage.temporary_folder() as folder,
        closing(_Metered(settings, on_video)) as meter,
    ):
        for name, (rows, share) in drawn.items():
            store = FacesStore(os.path.join(folder, str(len(datasets))))
            store.claim(settings)
            meter.begin(name, share * seconds)
            datasets[name] = _extract(store, meter, rows, settings)
            reading.add(store)
    added = max(0, psutil.Process().memory_info().rss - before)
    return ExtractionCost(datasets, reading.per_cpu_s, meter.memory_bytes + added)


def draw(
    videos: pa.Table, settings: FacesSection, sample: int, seed: int
) -> dict[str, tuple[pa.Table, float]]:
    """Return by dataset its videos of the sample in random order, and its share of the time, 0..1."""
    frames = expected_faces(videos, settings)
    dataset = np.asarray(videos["dataset"].to_pylist())
    rng = np.random.default_rng(seed)
    names = np.unique(dataset)
    drawn = {}
    for name in names.tolist():
        rows = rng.permutation(np.flatnonzero(dataset == name))
        share = (1 / len(names) + float(frames[rows].sum() / frames.sum())) / 2
        drawn[name] = videos.take(rows[: max(MIN_VIDEOS, round(share * sample))]), share
    return drawn


def _extract(
    store: FacesStore, meter: _Metered, rows: pa.Table, settings: FacesSection
) -> DatasetCost:
    """Run the stage over `rows` and return its cost; work outside the videos is divided among them."""
    stage = ShardExtractor(store, settings, "summaries", build_extractor=lambda _: meter)
    start = time.process_time()
    for _ in stage.extract("sample-0", rows):
        pass
    done = len(meter.costs)
    overhead = time.process_time() - start - meter.accounted_s
    each = overhead / done + meter.start_cpu_s / RECYCLE_AFTER
    expected = expected_faces(rows, settings).tolist()[:done]
    if meter.broken_off:
        expected[-1] = meter.costs[-1].frames
    costs = tuple(
        replace(cost, expected=frames, cpu_s=cost.cpu_s + each)
        for cost, frames in zip(meter.costs, expected, strict=True)
    )
    faces = sum(cost.faces for cost in costs)
    written = sum(file.stat().st_size for file in Path(store.uri).rglob("*.parquet"))
    return DatasetCost(costs, written / faces if faces else 0.0)


class _Metered(SupervisedExtractor):
    """Extractor of the stage that records the cost of each video and stops in time.

    Attributes:
        start_cpu_s: CPU seconds that the start of its child takes.
        memory_bytes: peak resident memory of its child.
        costs: of the videos since `begin`; their expected frames are filled in later.
        accounted_s: CPU seconds of this process that are in `costs` or went into metering.
        broken_off: True if the last of those videos was stopped early.
    """

    def __init__(self, settings: FacesSection, on_video: OnVideo) -> None:
        super().__init__(settings)
        self.start_cpu_s, self.memory_bytes = _children_usage()
        self._on_video, self._done = on_video, 0

    def begin(self, dataset: str, seconds: float) -> None:
        """Start the clock of a dataset's videos."""
        self._dataset = dataset
        self._last_start = time.monotonic() + seconds
        self._last_frame = self._last_start + seconds
        self.costs: list[VideoCost] = []
        self.accounted_s, self.broken_off = 0.0, False

    def extract(
        self, uri: str, kind: str = "video", stride: int = 1, thumbnail_px: int | None = None
    ) -> Generator[Frame | VideoEnd, None, None]:
        is_late = time.monotonic() > self._last_start and len(self.costs) >= MIN_VIDEOS
        if is_late or self.broken_off:
            yield VideoEnd("unreadable", "not in the sample", 0, 0.0)
            return
        entered = time.process_time()
        before_s, _ = _children_usage()
        start = time.process_time()
        end: VideoEnd | None = None
        frames = faces = 0
        with closing(super().extract(uri, kind, stride, thumbnail_px)) as items:
            for item in items:
                if isinstance(item, VideoEnd):
                    end = item
                    break
                frames, faces = frames + 1, faces + len(item.faces)
                yield item
                if time.monotonic() > self._last_frame:
                    self.broken_off = True
                    break
            stage_s = time.process_time() - start
            child_s, memory = _children_usage()
        end = end or VideoEnd("ok", None, 1, max(0.0, child_s - before_s))
        self.memory_bytes = max(self.memory_bytes, memory)
        self.costs.append(VideoCost(0, frames, faces, stage_s + end.cpu_s, end.reason))
        self._done += 1
        self._on_video(self._done, self._dataset)
        self.accounted_s += time.process_time() - entered
        yield end


class _Reading:
    """Speed of reading faces back, over all measured stores."""

    def __init__(self) -> None:
        self._faces, self._cpu_s = 0, 0.0

    def add(self, store: FacesStore) -> None:
        start = time.process_time()
        for uri in storage.list_files(storage.join(store.uri, "faces"), ".parquet"):
            for group in iter_row_groups(uri, ["image", "encoding", "size_px"]):
                self._faces += len(decode_images(group))
        self._cpu_s += time.process_time() - start

    @property
    def per_cpu_s(self) -> float:
        """Faces read per CPU second; infinite if there was none to read."""
        return self._faces / self._cpu_s if self._faces else float("inf")


def _children_usage() -> tuple[float, int]:
    """Return the CPU seconds and the resident memory, in bytes, of this process's children now."""
    cpu_s, memory = 0.0, 0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            cpu_s += sum(child.cpu_times()[:2])
            memory += child.memory_info().rss
    return cpu_s, memory
