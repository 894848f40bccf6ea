"""Columns that a model is judged by, and their mean: to know a video's corpus gains nothing there."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from dfray.evaluation.aggregate import VIDEO_SCORES
from dfray.evaluation.metrics import point_metrics
from dfray.evaluation.protocol import Protocol, load_protocol
from dfray.evaluation.scopes import Columns, JudgedScores, comparison_scopes
from tests.helpers.scored import corpus_scorer, video_rows


def scored(scores: dict[str, list[float]], n_real: int) -> pa.Table:
    """Return videos of datasets with so many real ones each, the rest fake."""
    table = []
    for dataset, values in scores.items():
        for row, value in zip(
            video_rows(dataset, n_real, len(values) - n_real), values, strict=True
        ):
            table.append(row | {"fake_probability": value})
    return VIDEO_SCORES.from_rows(table)


def test_a_scorer_that_knows_only_the_corpus_is_above_chance_pooled_and_at_chance_in_the_mean() -> (
    None
):
    videos = corpus_scorer()
    labels, scores = (videos[name].to_numpy() for name in ("label", "fake_probability"))
    pooled = point_metrics(labels, scores, threshold=0.5)
    assert pooled["auc"] > 0.75
    assert pooled["balanced_accuracy"] > 0.65
    for protocol in (load_protocol("paper"), None):
        judged = JudgedScores.of(videos, 0.5, protocol)
        assert len(judged.columns.defined) == 9
        assert judged.mean["auc"] == pytest.approx(0.5)
        assert judged.mean["balanced_accuracy"] == pytest.approx(0.5)
        assert [figures["auc"] for figures in judged.figures] == pytest.approx([0.5] * 9)


def test_each_dataset_counts_the_same_whatever_its_size() -> None:
    small, large = [0.1, 0.2, 0.9, 0.8], [0.4, 0.6, *([0.5] * 40)]
    judged = JudgedScores.of(scored({"small": small, "large": large}, n_real=2), 0.5)
    expected = [roc_auc_score([0, 0] + [1] * (len(v) - 2), v) for v in (large, small)]
    assert [scope.name for scope in judged.columns.defined] == ["large", "small"]
    assert judged.mean["auc"] == pytest.approx(np.mean(expected))
    assert judged.columns.mean is not None
    assert judged.columns.mean.name == "mean over 2 columns"


def test_a_single_dataset_is_all_videos() -> None:
    columns = Columns.of(scored({"one": [0.1, 0.2, 0.9]}, n_real=2))
    assert columns.mean is not None
    assert columns.mean.name == "all videos"


def test_a_dataset_of_one_class_is_in_no_mean() -> None:
    videos = scored({"both": [0.1, 0.9], "reals": [0.3]}, n_real=1)
    columns = Columns.of(videos)
    assert [scope.name for scope in columns.defined] == ["both"]
    assert columns.undefined == ("reals",)
    alone = JudgedScores.of(videos.filter(pa.array([False, False, True])), 0.5)
    assert alone.mean == {}
    assert alone.columns.mean is None


def test_the_protocol_says_which_datasets_are_means_over_methods() -> None:
    table = video_rows("df40", 2, 4, methods=2)
    values = [0.5, 0.5, 0.9, 0.1, 0.9, 0.9]
    videos = VIDEO_SCORES.from_rows(
        [row | {"fake_probability": value} for row, value in zip(table, values, strict=True)]
    )
    first, second = 1.0, 0.5  # fakes at 0.9 and 0.9, at 0.1 and 0.9
    assert JudgedScores.of(videos, 0.5, load_protocol("paper")).mean["auc"] == np.mean(
        [first, second]
    )
    assert JudgedScores.of(videos, 0.5).mean["auc"] == 0.75


def test_a_dataset_has_one_column_the_first_that_is_not_of_a_category() -> None:
    columns = [
        {"name": "FS", "dataset": "toy", "over": "methods", "category": "FS"},
        {"name": "all", "dataset": "toy"},
        {"name": "methods", "dataset": "toy", "over": "methods"},
    ]
    scenarios = [{"name": "s", "columns": columns}]
    protocol = Protocol.model_validate(
        {"name": "p", "title": "P", "source": "here", "scenarios": scenarios}
    )
    found = Columns.of(scored({"toy": [0.1, 0.9], "mine": [0.2, 0.8]}, n_real=1), protocol)
    assert [scope.name for scope in found.defined] == ["all", "mine"]


def test_a_comparison_of_means_leaves_out_columns_with_too_few_videos() -> None:
    videos = scored({"few": [0.1, 0.9], "many": [0.1] * 5 + [0.9] * 5}, n_real=1)
    names = [[s.name for s in comparison_scopes(videos, min_per_class=n)] for n in (1, 2)]
    assert names == [
        ["mean over 2 columns", "few", "many"],
        ["mean over 2 columns", "few", "many"],
    ]
