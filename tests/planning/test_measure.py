"""The stage itself is measured: on every dataset, in about the time given, whatever the videos are."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dfray.config import FacesSection
from dfray.errors import ManifestError
from dfray.planning.measure import MIN_VIDEOS, draw, measure_extraction
from tests.helpers.clips import talking_head, write_clip
from tests.helpers.corpus import QUICK
from tests.helpers.rows import video_row, videos_table

SETTINGS = FacesSection(size_px=96)


def clip(folder: Path, name: str, seconds: int, **row: object) -> dict:
    path = write_clip(folder / f"{name}.mp4", talking_head(2 * seconds), fps=2, options=QUICK)
    return video_row(name, uri=str(path), duration_s=float(seconds), **row)


def test_frames_faces_and_bytes_are_those_of_the_videos(tmp_path: Path) -> None:
    rows = [
        clip(tmp_path, "a", 3),
        clip(tmp_path, "b", 5),
        clip(tmp_path, "c", 2, dataset="other"),
    ]
    told: list[tuple[int, str]] = []
    cost = measure_extraction(
        videos_table(rows),
        SETTINGS,
        sample=10,
        seconds=60,
        on_video=lambda done, dataset: told.append((done, dataset)),
    )
    assert sorted((v.expected, v.frames, v.faces) for v in cost.datasets["toy"].videos) == [
        (3, 3, 3),
        (5, 5, 5),
    ]
    assert [v.frames for v in cost.datasets["other"].videos] == [2]
    assert all(v.cpu_s > 0 for d in cost.datasets.values() for v in d.videos)
    pixels = 96 * 96 * 3
    assert 0.2 * pixels < cost.datasets["toy"].bytes_per_face < 1.2 * pixels
    assert cost.read_per_cpu_s > 100
    assert cost.memory_bytes > 50 * 2**20
    assert told == [(1, "other"), (2, "toy"), (3, "toy")]


def test_when_the_time_is_up_no_further_video_begins(tmp_path: Path) -> None:
    one = clip(tmp_path, "a", 3)
    rows = [
        one | {"video_id": f"{name}/camera/{k}", "dataset": name} for name in "xy" for k in range(9)
    ]
    cost = measure_extraction(videos_table(rows), SETTINGS, sample=18, seconds=1e-3)
    assert [len(cost.datasets[name].videos) for name in "xy"] == [1, 1]


def test_a_video_that_takes_too_long_is_broken_off_and_counts_for_what_was_done(
    tmp_path: Path,
) -> None:
    long = clip(tmp_path, "long", 80)
    start = time.monotonic()
    cost = measure_extraction(videos_table([long]), SETTINGS, sample=5, seconds=0.1)
    (video,) = cost.datasets["toy"].videos
    assert 0 < video.frames < 80
    assert video.expected == video.frames
    assert 0.02 < video.cpu_s < time.monotonic() - start


def test_a_video_that_cannot_be_read_counts_for_what_it_cost(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    broken = video_row("broken", uri=str(tmp_path / "broken.mp4"), duration_s=4.0)
    rows = [broken, clip(tmp_path, "whole", 2)]
    videos = (
        measure_extraction(videos_table(rows), SETTINGS, sample=5, seconds=60)
        .datasets["toy"]
        .videos
    )
    assert sorted((v.expected, v.frames, v.reason is None) for v in videos) == [
        (2, 2, True),
        (4, 0, False),
    ]


def test_a_sample_of_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    rows = [video_row(str(k), uri=f"{tmp_path}/{k}.mp4") for k in range(3)]
    with pytest.raises(ManifestError, match="None of the 3 videos .* could be read.*--clips"):
        measure_extraction(videos_table(rows), SETTINGS, sample=5, seconds=5)


def table(**counts: int) -> pa.Table:
    rows = [
        video_row(f"{name}-{k}", dataset=name, duration_s=10.0)
        for name, count in counts.items()
        for k in range(count)
    ]
    return videos_table(rows)


def test_small_datasets_are_drawn_from_too() -> None:
    drawn = draw(table(large=980, small=20), SETTINGS, sample=100, seed=0)
    assert {name: rows.num_rows for name, (rows, _) in drawn.items()} == {"large": 74, "small": 20}
    assert sum(share for _, share in drawn.values()) == pytest.approx(1)
    few = draw(table(large=980, small=20), SETTINGS, sample=2, seed=0)
    assert {rows.num_rows for rows, _ in few.values()} == {MIN_VIDEOS}


def test_every_video_is_drawn_as_often_as_any_other() -> None:
    videos = table(only=10)
    seen = [
        row
        for seed in range(200)
        for row in draw(videos, SETTINGS, sample=3, seed=seed)["only"][0]["video_id"].to_pylist()
    ]
    counts = np.unique(seen, return_counts=True)[1]
    assert len(counts) == 10
    assert counts.min() > 30  # of 60 expected
