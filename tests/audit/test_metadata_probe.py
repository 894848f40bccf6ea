"""A planted difference of metadata is found and named, and without one 0.5 is in the interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from dfray.audit.metadata_probe import MARGIN, ProbeResult, probe_metadata
from tests.helpers.properties import Row, drawn_properties


def of_fakes(name: str, value: Any) -> Callable[[Row], None]:
    """Give the fakes a value of their own, or, by a number, so many times theirs."""

    def plant(row: Row) -> None:
        if row["label"]:
            row[name] = value if name == "codec" or value is None else value * row[name]

    return plant


def result(**planted: Any) -> ProbeResult:
    (found,) = probe_metadata(drawn_properties(0, **planted))
    return found


def covers(found: ProbeResult) -> bool:
    assert found.auc is not None
    return found.auc.low <= 0.5 <= found.auc.high


def test_without_a_difference_chance_is_in_the_interval_in_90_of_100_draws() -> None:
    found = [probe_metadata(drawn_properties(seed))[0] for seed in range(100)]
    assert sum(map(covers, found)) >= 90
    assert sum(one.is_shortcut for one in found) <= 2


@pytest.mark.slow
def test_neither_is_a_difference_found_by_cross_validation() -> None:
    found = [probe_metadata(drawn_properties(seed, trained=("b",)))[1] for seed in range(100)]
    assert {one.how for one in found} == {"cross-validation"}
    assert sum(map(covers, found)) >= 90
    assert sum(one.is_shortcut for one in found) <= 2


@pytest.mark.parametrize(
    ("name", "value", "title"),
    [
        ("bit_rate", 2.0, "bit rate (bits/s)"),
        ("face_px", 1.5, "face size (px)"),
        ("length_s", 0.6, "length (s)"),
        ("file_bytes", 4.0, "file size (bytes)"),
        ("codec", "vp9", "codec"),
        ("pixel_aspect", None, "pixel aspect"),
    ],
)
def test_a_planted_difference_is_found_and_named(name: str, value: Any, title: str) -> None:
    found = result(plant=of_fakes(name, value))
    assert found.is_shortcut
    assert title in [alone for alone, _ in found.alone]


def test_a_difference_that_no_property_tells_alone_is_found_all_the_same() -> None:
    def plant(row: Row) -> None:
        row["height"] = 720.0 if (row["fps"] > 27) == bool(row["label"]) else 360.0

    found = result(plant=plant, n_videos=300)
    assert found.is_shortcut
    assert found.alone == ()


def test_a_dataset_that_is_not_trained_on_is_measured_within_itself_too() -> None:
    def plant(row: Row) -> None:
        if row["dataset"] == "a" and row["label"]:
            row["bit_rate"] *= 4

    transferred, within = probe_metadata(drawn_properties(0, trained=("b",), plant=plant))
    assert (transferred.how, within.how) == ("train and val", "cross-validation")
    assert transferred.n_real == within.n_real == 50
    assert within.is_shortcut
    assert within.alone[0][0] == "bit rate (bits/s)"


def test_several_datasets_are_measured_one_by_one_and_pooled() -> None:
    table = drawn_properties(0)
    other = table.set_column(1, "dataset", pa.array(["b"] * table.num_rows))
    ids = pa.array([f"b{video}" for video in table["video_id"].to_pylist()])
    table = pa.concat_tables([table, other.set_column(0, "video_id", ids)])
    names = [one.dataset for one in probe_metadata(table)]
    assert names == ["a", "b", "all videos, pooled"]


def test_datasets_of_other_shares_of_fakes_are_no_shortcut_though_pooled_they_are_told_apart() -> (
    None
):
    mostly_real, mostly_fake = (drawn_properties(seed, n_videos=300) for seed in (0, 1))
    tables = []
    for name, table, n_kept, height in (("a", mostly_real, 1, 360.0), ("b", mostly_fake, 0, 720.0)):
        rows = [
            row | {"dataset": name, "video_id": f"{name}/{row['video_id']}", "height": height}
            for number, row in enumerate(table.to_pylist())
            if row["label"] != n_kept or number % 10 < 2
        ]
        tables.append(pa.Table.from_pylist(rows))
    *of_datasets, pooled = probe_metadata(pa.concat_tables(tables))
    assert not any(one.is_shortcut for one in of_datasets)
    assert pooled.is_pooled
    assert pooled.auc is not None
    assert pooled.auc.low > 0.5 + MARGIN
    assert not pooled.is_shortcut


@pytest.mark.parametrize("n_videos", [4, 6, 8])
def test_few_videos_are_cross_validated_in_as_many_parts_as_they_allow(n_videos: int) -> None:
    table = drawn_properties(0, n_videos=n_videos, trained=("b",))
    transferred, within = probe_metadata(table, min_per_class=n_videos // 2)
    assert transferred.auc is not None
    assert within.how == "cross-validation"
    assert within.auc is not None


def test_a_test_without_training_is_measured_within_itself_alone() -> None:
    (within,) = probe_metadata(drawn_properties(0, trained=()))
    assert within.how == "cross-validation"
    assert within.auc is not None


def test_videos_made_from_one_source_count_once_in_the_interval() -> None:
    def plant(row: Row) -> None:
        row["source_video"] = f"a/{row['split']}/{int(row['video_id'].rpartition('/')[2]) % 10}"

    found, plain = result(plant=plant), result()
    assert (found.n_real, found.n_fake) == (5, 5)
    assert found.auc is not None
    assert plain.auc is not None
    assert found.auc.high - found.auc.low > 2 * (plain.auc.high - plain.auc.low)


def test_properties_that_no_video_states_leave_the_others() -> None:
    def plant(row: Row) -> None:
        row |= {"codec": None, "pixel_aspect": None, "width": None}
        row["bit_rate"] *= 1 + 3 * row["label"]

    assert result(plant=plant).is_shortcut


def test_few_videos_have_no_figure_but_a_reason() -> None:
    found = result(n_videos=8)
    assert found.auc is None
    assert str(found.reason).startswith("too few to tell")
    assert not found.is_shortcut


def test_a_shortcut_needs_a_lower_end_that_is_well_above_chance() -> None:
    assert MARGIN == 0.05
