"""What finding faces costs, measured here: the extraction stage itself on some videos of each dataset.

Nothing is imitated. The stage's actor runs in this process, with its child that decodes and detects, and
writes real shards into a temporary folder; between the two stands `_Metered`, which notes what each video
cost and lets no further one begin when its dataset's share of the time is spent.
"""

from __future__ import annotations

import os
import tempfile
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
from dfray.faces.extract import ShardExtractor
from dfray.faces.shard_plan import expected_faces
from dfray.faces.shards import FacesStore, decode_images, iter_row_groups
from dfray.faces.supervise import RECYCLE_AFTER, SupervisedExtractor
from dfray.faces.video import Frame, VideoEnd

OnVideo = Callable[[int, str], None]
AT_LEAST = 2
"""Videos of each dataset that are begun however little time there is: one tells nothing of the spread."""


@dataclass(frozen=True)
class VideoCost:
    """What one video of the sample took.

    Attributes:
        expected: frames to expect of it by the manifest; of a video that was broken off, those sampled.
        frames: sampled.
        cpu_s: CPU seconds of the stage and its child, their start apart.
        reason: why nothing came of it, if nothing did.
    """

    expected: int
    frames: int
    faces: int
    cpu_s: float
    reason: str | None


@dataclass(frozen=True)
class DatasetCost:
    """What the sampled videos of a dataset took.

    Attributes:
        bytes_per_face: of its shards, faces, outcomes and summaries together; 0 without a face.
    """

    videos: tuple[VideoCost, ...]
    bytes_per_face: float


@dataclass(frozen=True)
class ExtractionCost:
    """What extraction takes on one core of this machine.

    Attributes:
        datasets: by name.
        read_per_cpu_s: faces read back from shards per CPU second, as training reads them.
        memory_bytes: of the child that decodes and detects at its largest, and of what the stage holds
            beside it.
    """

    datasets: dict[str, DatasetCost]
    read_per_cpu_s: float
    memory_bytes: int

    def __post_init__(self) -> None:
        costs = [video for dataset in self.datasets.values() for video in dataset.videos]
        if not any(video.frames for video in costs):
            why = next((video.reason for video in costs if video.reason), "no frame came of it")
            raise ManifestError(
                f"None of the {len(costs)} videos of the sample could be read; the first: {why}.",
                "Check that this machine reaches them, or measure on others with --clips FOLDER.",
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
    """Extract videos of every dataset, drawn at random, until `sample` are done or the time is up.

    Half of the videos, and of the time, go to all datasets alike, and half by their frames.

    Args:
        videos: VIDEOS.
        sample: videos of all datasets together.
        seconds: for all; a video that is begun is finished unless it takes its dataset's time again.
        on_video: told the number of videos done, and the dataset.

    Raises:
        ManifestError: no video of the sample could be read.
        ModelFileError: the detector's model is missing, not the expected one, or cannot be loaded.
    """
    drawn = draw(videos, settings, sample, seed)
    own = psutil.Process().memory_info().rss
    datasets: dict[str, DatasetCost] = {}
    reading = _Reading()
    with (
        tempfile.TemporaryDirectory(prefix="dfray-plan-") as folder,
        closing(_Metered(settings, on_video)) as meter,
    ):
        for name, (rows, share) in drawn.items():
            store = FacesStore(os.path.join(folder, str(len(datasets))))
            store.claim(settings)
            meter.begin(name, share * seconds)
            datasets[name] = _extract(store, meter, rows, settings)
            reading.of(store)
    held = max(0, psutil.Process().memory_info().rss - own)
    return ExtractionCost(datasets, reading.per_cpu_s, meter.memory_bytes + held)


def draw(
    videos: pa.Table, settings: FacesSection, sample: int, seed: int
) -> dict[str, tuple[pa.Table, float]]:
    """By dataset: its videos of the sample in random order, and its share of the time, 0..1."""
    frames = expected_faces(videos, settings)
    dataset = np.asarray(videos["dataset"].to_pylist())
    rng = np.random.default_rng(seed)
    names = np.unique(dataset)
    drawn = {}
    for name in names.tolist():
        rows = rng.permutation(np.flatnonzero(dataset == name))
        share = (1 / len(names) + float(frames[rows].sum() / frames.sum())) / 2
        drawn[name] = videos.take(rows[: max(AT_LEAST, round(share * sample))]), share
    return drawn


def _extract(
    store: FacesStore, meter: _Metered, rows: pa.Table, settings: FacesSection
) -> DatasetCost:
    """Run the stage over `rows`; what it does besides the videos is shared out among them."""
    stage = ShardExtractor(store, settings, "summaries", build_extractor=lambda _: meter)
    start = time.process_time()
    for _ in stage.extract("sample-0", rows):
        pass
    done = len(meter.costs)
    besides = time.process_time() - start - meter.accounted_s
    each = besides / done + meter.start_cpu_s / RECYCLE_AFTER
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
    """The stage's extractor, with an eye on the clock.

    Attributes:
        start_cpu_s: CPU seconds that its child takes to start.
        memory_bytes: resident memory of its child at its largest.
        costs: of the videos since `begin`; what to expect of them is not known here.
        accounted_s: CPU seconds of this process that are in `costs`, or spent on the metering.
        broken_off: whether the last of those videos was.
    """

    def __init__(self, settings: FacesSection, on_video: OnVideo) -> None:
        super().__init__(settings)
        self.start_cpu_s, self.memory_bytes = _of_children()
        self._on_video, self._done = on_video, 0

    def begin(self, dataset: str, seconds: float) -> None:
        """Give the videos that come now so much time."""
        self._dataset = dataset
        self._last_start = time.monotonic() + seconds
        self._last_frame = self._last_start + seconds
        self.costs: list[VideoCost] = []
        self.accounted_s, self.broken_off = 0.0, False

    def extract(
        self, uri: str, kind: str = "video", stride: int = 1
    ) -> Generator[Frame | VideoEnd, None, None]:
        is_late = time.monotonic() > self._last_start and len(self.costs) >= AT_LEAST
        if is_late or self.broken_off:
            yield VideoEnd("unreadable", "not in the sample", 0, 0.0)
            return
        entered = time.process_time()
        before_s, _ = _of_children()
        start = time.process_time()
        end: VideoEnd | None = None
        frames = faces = 0
        with closing(super().extract(uri, kind, stride)) as items:
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
            child_s, memory = _of_children()
        end = end or VideoEnd("ok", None, 1, max(0.0, child_s - before_s))
        self.memory_bytes = max(self.memory_bytes, memory)
        self.costs.append(VideoCost(0, frames, faces, stage_s + end.cpu_s, end.reason))
        self._done += 1
        self._on_video(self._done, self._dataset)
        self.accounted_s += time.process_time() - entered
        yield end


class _Reading:
    """How fast faces are read back, over all stores that it is shown."""

    def __init__(self) -> None:
        self._faces, self._cpu_s = 0, 0.0

    def of(self, store: FacesStore) -> None:
        start = time.process_time()
        for uri in storage.list_files(storage.join(store.uri, "faces"), ".parquet"):
            for group in iter_row_groups(uri, ["image", "encoding", "size_px"]):
                self._faces += len(decode_images(group))
        self._cpu_s += time.process_time() - start

    @property
    def per_cpu_s(self) -> float:
        return self._faces / self._cpu_s if self._faces else float("inf")


def _of_children() -> tuple[float, int]:
    """CPU seconds and bytes of resident memory of this process's children, as they are now."""
    cpu_s, memory = 0.0, 0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            cpu_s += sum(child.cpu_times()[:2])
            memory += child.memory_info().rss
    return cpu_s, memory
