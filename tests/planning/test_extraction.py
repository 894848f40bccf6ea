"""From a sample to the whole: each dataset by its frames, with an interval that holds the truth."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dfray.config import BatchesSection, FacesSection
from dfray.planning.extraction import Interval, estimate_extraction
from dfray.planning.measure import DatasetCost, ExtractionCost, VideoCost
from tests.helpers.rows import fake_row, video_row, videos_table

FACES, BATCHES = FacesSection(), BatchesSection()


def cost_of(**datasets: list[tuple[int, float, int]]) -> ExtractionCost:
    """By dataset (frames, CPU seconds, faces) of each video of its sample; 1,000 bytes a face."""
    return ExtractionCost(
        {
            name: DatasetCost(
                tuple(VideoCost(frames, frames, faces, cpu, None) for frames, cpu, faces in videos),
                1000.0,
            )
            for name, videos in datasets.items()
        },
        read_per_cpu_s=1.0,
        memory_bytes=1,
    )


def videos(dataset: str, lengths: list[float], **row: object) -> list[dict]:
    return [
        video_row(f"{dataset}-{k}", dataset=dataset, duration_s=length, **row)
        for k, length in enumerate(lengths)
    ]


def test_each_dataset_has_its_own_rates() -> None:
    table = videos_table(videos("a", [10.0] * 4) + videos("b", [100.0]))
    cost = cost_of(a=[(10, 1.0, 10), (10, 1.0, 10)], b=[(50, 50.0, 100), (50, 50.0, 100)])
    total = estimate_extraction(table, cost, FACES, BATCHES)
    assert total.cpu_s == Interval(*[pytest.approx(4.0 + 100.0)] * 3)
    assert total.faces.value == pytest.approx(40 + 200)
    assert total.stored_bytes.value == pytest.approx(240_000)
    assert [(d.name, d.videos, d.frames, d.sampled) for d in total.datasets] == [
        ("a", 4, 40, 2),
        ("b", 1, 100, 2),
    ]
    assert total.videos == {"train": 5, "val": 0, "test": 0}


def test_clips_stand_for_every_dataset() -> None:
    table = videos_table(videos("a", [10.0]) + videos("b", [30.0]))
    total = estimate_extraction(table, cost_of(clips=[(5, 1.0, 5)]), FACES, BATCHES)
    assert total.cpu_s.value == pytest.approx(8.0)
    assert {d.measured for d in total.datasets} == {"clips"}


def test_long_and_short_videos_share_a_rate_whichever_were_drawn() -> None:
    """Two videos of nine minutes in ten seconds' company: the mean cost a video would be far off."""
    table = videos_table(videos("a", [10.0] * 98 + [540.0] * 2))
    total = estimate_extraction(table, cost_of(a=[(10, 1.0, 10)] * 5), FACES, BATCHES)
    assert total.cpu_s.value == pytest.approx((980 + 1080) / 10)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """90 %, less what a bootstrap of few loses."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 60, 400).astype(float)
    cpu = lengths * rng.lognormal(0, 0.4, 400) * 0.05
    table = videos_table(videos("a", lengths.tolist()))
    held = 0
    for trial in range(60):
        drawn = rng.choice(400, 20, replace=False)
        sample = [(int(lengths[k]), float(cpu[k]), 1) for k in drawn]
        found = estimate_extraction(table, cost_of(a=sample), FACES, BATCHES, seed=trial).cpu_s
        held += found.low <= cpu.sum() <= found.high
    assert held >= 45


def test_an_epoch_takes_what_the_sampling_rule_takes_of_the_faces_found() -> None:
    """Every real face, and of each fake as many as balance them: here 2 of 6 frames show two faces."""
    real = videos("a", [6.0] * 2)
    fakes = [fake_row(str(k), dataset="a", duration_s=6.0) for k in range(4)]
    val = videos("a", [6.0], split="val")
    table = videos_table(real + fakes + [row | {"video_id": "a/v/0"} for row in val])
    cost = cost_of(a=[(6, 1.0, 8)])
    total = estimate_extraction(table, cost, FACES, BATCHES)
    assert total.per_epoch == {"train": 2 * 8 + 4 * 4, "val": 8}
    every = estimate_extraction(table, cost, FACES, BatchesSection(sampling="all"))
    assert every.per_epoch == {"train": 6 * 8, "val": 8}


def test_self_blending_takes_real_faces_twice() -> None:
    table = videos_table([*videos("a", [6.0] * 2), fake_row(dataset="a", duration_s=6.0)])
    blending = BatchesSection(self_blend={})
    total = estimate_extraction(table, cost_of(a=[(6, 1.0, 6)]), FACES, blending)
    assert total.per_epoch["train"] == 2 * 12


def test_a_manifest_without_a_face_to_train_on_is_still_planned() -> None:
    table: pa.Table = videos_table(videos("a", [6.0], split="test"))
    total = estimate_extraction(table, cost_of(a=[(6, 1.0, 0)]), FACES, BATCHES)
    assert total.per_epoch == {"train": 0, "val": 0}
    assert total.stored_bytes.value == 0
