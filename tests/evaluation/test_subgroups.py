"""Error rates of groups: each over its own videos, with intervals, and none for a handful."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dfray.evaluation.aggregate import VIDEO_SCORES
from dfray.evaluation.subgroups import Subgroup, subgroups, worst_subgroup
from tests.helpers.rows import fake_row, video_row


def scored(**scores: tuple[list[float | None], list[float]]) -> tuple[pa.Table, dict[str, str]]:
    """Return VIDEO_SCORES and video_id -> group, of the real and the fake scores of each group."""
    rows, group_of = [], {}
    for group, (real, fake) in scores.items():
        for make, values in ((video_row, real), (fake_row, fake)):
            for number, score in enumerate(values):
                row = make(f"{group}{number:03d}", split="test")
                rows.append(row | {"status": "ok", "n_faces": 1, "fake_probability": score})
                group_of[row["video_id"]] = group
    return VIDEO_SCORES.from_rows(rows), group_of


def rates(videos: pa.Table, groups: dict[str, str], needed: int = 5) -> dict[str, Subgroup]:
    found = subgroups(videos, {"age": groups}, threshold=0.5, needed=needed, confidence=0.95)
    return {group.value: group for group in found}


def test_false_alarms_and_misses_are_shares_of_the_groups_own_videos():
    videos, groups = scored(
        young=([0.1] * 9 + [0.9], [0.9] * 8 + [0.2] * 2), old=([0.9] * 5 + [0.1] * 5, [0.9] * 10)
    )
    found = rates(videos, groups)
    assert (found["young"].false_alarms.value, found["young"].misses.value) == (0.1, 0.2)
    assert (found["old"].false_alarms.value, found["old"].misses.value) == (0.5, 0.0)
    assert found["old"].misses.high > 0.2, (
        "ten videos without an error do not show that there is none"
    )
    assert worst_subgroup(list(found.values())).value == "old"


def test_a_video_without_a_score_is_counted_and_in_no_rate():
    videos, groups = scored(young=([0.1] * 5 + [None] * 3, [0.9] * 5))
    young = rates(videos, groups)["young"]
    assert (young.n_real, young.n_fake, young.n_unscored) == (5, 5, 3)
    assert young.false_alarms.value == 0


def test_a_handful_of_videos_has_no_rate():
    videos, groups = scored(young=([0.9] * 4, [0.9] * 6), old=([0.9], [0.1]))
    found = rates(videos, groups)
    assert found["young"].false_alarms is None
    assert found["young"].misses.value == 0
    assert found["young"].error_rate is None, "of one class alone it would not compare"
    assert found["old"].error_rate is None
    assert worst_subgroup([found["old"]]) is None


def test_videos_of_no_stated_value_are_in_no_group():
    videos, groups = scored(young=([0.1] * 5, [0.9] * 5), unknown=([0.9] * 5, [0.1] * 5))
    stated = {video: group for video, group in groups.items() if group == "young"}
    assert list(rates(videos, stated)) == ["young"]


@pytest.mark.parametrize("n", [5, 30])
def test_a_groups_interval_covers_its_true_rate(n):
    rng = np.random.default_rng(n)
    hits = 0
    for _ in range(200):
        videos, groups = scored(a=(rng.uniform(0, 1, n).tolist(), [0.9] * 5))
        rate = rates(videos, groups)["a"].false_alarms
        hits += rate.low <= 0.5 <= rate.high
    assert hits / 200 >= 0.92
