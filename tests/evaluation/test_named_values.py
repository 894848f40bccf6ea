"""Flat names of metrics, by which MLflow's tables and charts sort runs."""

from __future__ import annotations

import math

from mlflow.utils.validation import _validate_metric_name

from dfray.config import EvaluationSection
from dfray.evaluation.metrics import Metrics, compute_metrics
from dfray.evaluation.named_values import kept_values, named_values


def metrics_of(scored) -> Metrics:
    return compute_metrics(scored.videos, scored.faces, EvaluationSection(), 0)


def test_mean_over_columns_pooled_and_each_dataset_have_their_own_names(make_scored):
    metrics = metrics_of(make_scored(20, datasets=("ff++", "celeb df")))
    values = named_values(metrics)
    assert values["test/mean_auc"] == metrics.mean.auc.value
    assert values["test/auc"] == metrics.overall.video.auc.value
    by_dataset = {group.dataset: group for group in metrics.datasets}
    assert values["test/ff__/auc"] == by_dataset["ff++"].video.auc.value
    assert values["test/celeb df/brier"] == by_dataset["celeb df"].operational.brier.value
    assert values["test/coverage"] == 1
    assert values["test/threshold"] == metrics.threshold
    assert not any("tpr_at_fpr_1" in name for name in values), "20 real videos cannot show 1 %"
    assert "test/tpr_at_fpr_5" in values


def test_mlflow_takes_every_name_and_value(make_scored):
    names = ("ff++", "ff--", "ff  ", "a/b", "ü", "a%b", "x" * 40)
    for name, value in named_values(metrics_of(make_scored(6, datasets=names))).items():
        _validate_metric_name(name)
        assert math.isfinite(value)


def test_two_datasets_never_share_a_name(make_scored):
    metrics = metrics_of(make_scored(6, datasets=("a+", "a*")))
    sections = {name.split("/")[1] for name in named_values(metrics) if name.count("/") == 2}
    assert sections == {"a_", "a__"}


def test_what_is_not_defined_has_no_name(make_scored):
    values = named_values(metrics_of(make_scored(2)))
    assert set(values) == {"test/coverage", "test/videos_scored", "test/threshold"}


def test_the_kept_epochs_validation_metrics_are_not_the_last_ones():
    history = [
        {"epoch": 0, "selection_loss": 0.4, "val_auc": 0.8, "train_loss": 1.0},
        {"epoch": 1, "selection_loss": 0.2, "val_auc": 0.9, "train_loss": 0.6},
        {"epoch": 2, "selection_loss": 0.3, "val_auc": 0.7, "train_loss": 0.5},
    ]
    assert kept_values(history) == {
        "kept/epoch": 1,
        "kept/selection_loss": 0.2,
        "kept/val_auc": 0.9,
    }
    assert kept_values([]) == kept_values([{"epoch": 0, "train_loss": 1.0}]) == {}
