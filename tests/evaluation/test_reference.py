"""Validation in numbers: what a score means, and which faces are unlike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dfray.errors import ModelFileError, UserError
from dfray.evaluation.aggregate import VIDEO_SCORES
from dfray.evaluation.intervals import proportion_interval
from dfray.evaluation.reference import (
    ENOUGH,
    FILE,
    Reference,
    make_reference,
    read_reference,
    write_reference,
)
from dfray.models.bundle_description import DecisionRule
from dfray.tables import FAKE, REAL

RULE = DecisionRule(0.5, fitted_on="val-0")


def videos(real: list[float | None], fake: list[float], split: str = "val") -> pa.Table:
    """VIDEO_SCORES with these scores."""
    rows = [
        {
            "video_id": f"d/m/{label}-{number}",
            "dataset": "d",
            "split": split,
            "label": label,
            "category": "fake" if label else "real",
            "method": "m",
            "status": "ok",
            "n_faces": 1,
            "fake_probability": score,
        }
        for label, scores in ((REAL, real), (FAKE, fake))
        for number, score in enumerate(scores)
    ]
    return VIDEO_SCORES.from_rows(rows)


FACES = pa.table(
    {"sharpness": np.arange(1000) / 10, "brightness": np.full(1000, 100.0)},
)
BOXES = pa.table(
    {"box": pa.array([[0, 0, 20 + k / 10, 10] for k in range(1000)], pa.list_(pa.float32(), 4))}
)
NO_RATES = pa.table({"quality": pa.array([None], pa.float64())})


def reference(real: list[float | None], fake: list[float]) -> Reference:
    return make_reference(RULE, videos(real, fake), FACES, BOXES, NO_RATES)


def test_a_score_means_the_share_of_fakes_among_videos_of_about_that_score() -> None:
    made = reference([0.1] * 40 + [0.915] * 2, [0.905] * 30 + [0.2] * 10)
    near = made.meaning(0.91)
    assert near.fakes is not None
    assert (near.fakes.count, near.fakes.of) == (30, 32)
    assert near.fakes.interval == proportion_interval(30 / 32, 32, 0.95)
    assert near.low <= 0.905 < 0.915 <= near.high
    assert made.meaning(0.1).fakes.value == 0


def test_the_neighbourhood_is_as_narrow_as_enough_videos_allow() -> None:
    dense = reference([], np.linspace(0, 0.999, 10 * ENOUGH * 10).tolist())
    assert dense.meaning(0.505).high - dense.meaning(0.505).low == pytest.approx(0.01)
    sparse = reference([], np.linspace(0, 0.999, 2 * ENOUGH).tolist())
    assert sparse.meaning(0.5).high - sparse.meaning(0.5).low == pytest.approx(0.21)
    assert sparse.meaning(0.5).fakes.of < ENOUGH


@pytest.mark.parametrize("score", [0.0, 1.0, 1.000001])
def test_the_ends_of_the_scale_have_a_meaning_too(score: float) -> None:
    near = reference([0.0] * ENOUGH, [1.0] * ENOUGH).meaning(score)
    assert near.fakes is not None
    assert near.fakes.value == round(score)


def test_where_validation_had_no_video_the_meaning_is_unknown() -> None:
    assert reference([0.1] * 30, [0.9] * 30).meaning(0.5).fakes is None


def test_false_alarms_and_fakes_found_are_counted_at_the_threshold_itself() -> None:
    made = reference([0.499, 0.5, 0.1, None], [0.4999, 0.5, 0.9])
    assert (made.false_alarms.count, made.false_alarms.of) == (1, 3)
    assert (made.found.count, made.found.of) == (2, 3)
    assert made.fakes_share == 0.5


def test_faces_are_counted_by_size_and_videos_without_one() -> None:
    table = videos([0.1, None], [0.9])
    status = pa.array(["ok", "no_face", "ok"])
    table = table.set_column(table.column_names.index("status"), "status", status)
    made = make_reference(RULE, table, FACES, BOXES, NO_RATES)
    assert made.no_face == 1
    assert made.face_px is not None
    assert sum(made.face_px) == len(BOXES)
    assert made.face_px[0] == 120, "longer sides of 20.0 to 31.9 px"


def test_ranges_are_the_quantiles_of_the_faces_and_what_is_not_known_has_none() -> None:
    ranges = reference([0.1], [0.9]).ranges
    assert ranges["sharpness"] == pytest.approx((0.999, 98.901))
    assert ranges["face_px"] == pytest.approx((20.999, 118.901), abs=1e-3)
    assert ranges["brightness"] == (100, 100)
    assert "quality" not in ranges


def test_test_data_give_no_meaning() -> None:
    with pytest.raises(UserError, match="test data"):
        make_reference(RULE, videos([0.1], [0.9], "test"), FACES, BOXES, NO_RATES)


def test_it_is_read_back_with_its_own_rule_and_with_no_other(tmp_path: Path) -> None:
    made = reference([0.1] * 3, [0.9] * 3)
    assert read_reference(str(tmp_path), RULE) is None
    write_reference(str(tmp_path), made)
    assert read_reference(str(tmp_path), RULE) == made
    assert read_reference(str(tmp_path), DecisionRule(0.6, fitted_on="val-0")) is None


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"rule": 1}')
    with pytest.raises(ModelFileError, match="validation.json"):
        read_reference(str(tmp_path), RULE)
