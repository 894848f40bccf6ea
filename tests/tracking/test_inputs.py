"""Inputs of an MLflow run: each dataset and split of its manifest, with its place and counts."""

from __future__ import annotations

import json

from dfray.tracking.inputs import dataset_inputs
from tests.helpers.rows import fake_row, video_row, videos_table


def by_name(rows: list[dict]) -> dict[tuple[str, str], object]:
    inputs = dataset_inputs(videos_table(rows))
    return {(one.dataset.name, one.tags[0].value): one.dataset for one in inputs}


def test_each_dataset_and_split_is_an_input_with_its_counts():
    rows = [video_row("a"), fake_row("b"), fake_row("c"), fake_row("d", split="test")]
    inputs = by_name([*rows, video_row("e", split="val") | {"dataset": "other"}])
    assert set(inputs) == {("toy", "training"), ("toy", "testing"), ("other", "validation")}
    counts = json.loads(inputs["toy", "training"].profile)
    assert counts == {"num_rows": 3, "real": 1, "fake": 2}


def test_its_source_is_the_folder_that_holds_all_its_videos():
    rows = [
        video_row("a") | {"uri": "s3://corpora/ff/real/a.mp4"},
        fake_row("b") | {"uri": "s3://corpora/ff/fake/deep/b.mp4"},
    ]
    dataset = by_name(rows)["toy", "training"]
    assert (dataset.source_type, json.loads(dataset.source)) == ("s3", {"uri": "s3://corpora/ff"})
    several = [video_row(name) | {"uri": f"s3://{name}/a.mp4"} for name in ("one", "two")]
    buckets = by_name(several)["toy", "training"]
    assert (buckets.source_type, json.loads(buckets.source)) == ("s3", {"uri": "s3://"})
    local = by_name([video_row("a") | {"uri": "/clips/a.mp4"}])["toy", "training"]
    assert (local.source_type, json.loads(local.source)) == ("local", {"uri": "/clips"})


def test_its_digest_is_of_its_videos_in_any_order():
    one, again = [video_row("a"), video_row("b")], [video_row("b"), video_row("a")]
    digest = by_name(one)["toy", "training"].digest
    assert digest == by_name(again)["toy", "training"].digest
    assert digest != by_name(one[:1])["toy", "training"].digest
    assert len(digest) <= 36, "MLflow's limit"
