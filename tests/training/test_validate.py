"""Metrics of videos that runs with different objectives and classes can be compared by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from dfray.batches.labels import BINARY, LabelScheme
from dfray.batches.reader import FacesReader
from dfray.batches.sample import sample_faces
from dfray.config import Recipe
from dfray.errors import ManifestError, TrainingError
from dfray.faces.shards import FacesStore
from dfray.run_folder import RunFolder
from dfray.training.learner import Learner
from dfray.training.validate import _video_metrics
from tests.helpers.toy import toy_recipe, write_toy_faces


def validated(recipe: Recipe, classes: LabelScheme = BINARY) -> tuple[Learner, dict[str, float]]:
    store = FacesStore(RunFolder(recipe).faces)
    sample = sample_faces(store.summaries(["val"]), "val", recipe.batches, classes)
    learner = Learner(recipe, classes)
    return learner, learner.validate(FacesReader(store, sample, recipe.batches))


def test_a_videos_score_is_the_mean_over_its_faces() -> None:
    probability = torch.tensor([0.9, 0.1, 0.2, 0.6, 0.7])
    is_fake = torch.tensor([True, True, False, False, True])
    video = torch.tensor([4, 4, 7, 7, 9])
    truth, means = [1, 0, 1], [0.5, 0.4, 0.7]
    figures = _video_metrics(probability, is_fake, video, torch.zeros(5, dtype=torch.int64))
    assert figures["auc"] == roc_auc_score(truth, means)
    assert figures["average_precision"] == pytest.approx(average_precision_score(truth, means))
    half_each = [0.5, 1.0, 0.5]
    expected = log_loss(truth, means, sample_weight=half_each)
    assert figures["log_loss"] == pytest.approx(expected, rel=1e-6)


def test_metrics_of_videos_are_means_over_the_datasets_that_have_both_classes() -> None:
    """A scorer that knows only the dataset of a video is above chance over all videos."""
    probability = torch.tensor([0.8, 0.8, 0.8, 0.8, 0.2, 0.2, 0.2, 0.1])
    is_fake = torch.tensor([True, True, True, False, True, False, False, False])
    dataset = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2])
    video = torch.arange(8)
    pooled = _video_metrics(probability, is_fake, video, torch.zeros_like(video))
    assert pooled["auc"] > 0.75
    metrics = _video_metrics(probability, is_fake, video, dataset)
    assert metrics["auc"] == 0.5
    assert metrics["log_loss"] > np.log(2)


def test_a_video_and_what_was_blended_from_it_are_two() -> None:
    twice = torch.tensor([3, 3, 3, 3])
    is_fake = torch.tensor([False, True, False, True])
    probability = torch.tensor([0.1, 0.8, 0.3, 0.6])
    figures = _video_metrics(probability, is_fake, twice, torch.zeros_like(twice))
    assert figures["auc"] == 1.0
    assert figures["log_loss"] == pytest.approx(log_loss([0, 1], [0.2, 0.7]), rel=1e-6)


def test_a_network_that_has_diverged_in_the_last_step_of_an_epoch_is_said(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path)
    write_toy_faces(recipe)
    store = FacesStore(RunFolder(recipe).faces)
    sample = sample_faces(store.summaries(["val"]), "val", recipe.batches, BINARY)
    learner = Learner(recipe, BINARY)
    with torch.no_grad():
        next(learner.detector.parameters()).fill_(torch.inf)
    with pytest.raises(TrainingError, match=r"validation are not finite. Lower training.lr"):
        learner.validate(FacesReader(store, sample, recipe.batches))


def test_without_both_classes_in_a_dataset_there_is_no_metric() -> None:
    is_fake = torch.tensor([True, False])
    number = torch.tensor([0, 1])
    assert _video_metrics(torch.tensor([0.9, 0.1]), is_fake, number, number) == {}


@pytest.mark.parametrize("selection", ["auc", "average_precision"])
def test_an_epoch_may_be_selected_by_a_metric_of_videos(tmp_path: Path, selection: str) -> None:
    recipe = toy_recipe(tmp_path, "toy", f"training.selection={selection}")
    write_toy_faces(recipe)
    _, metrics = validated(recipe)
    assert metrics["selection_loss"] == 1 - metrics[f"val_{selection}"]


def test_without_such_a_dataset_no_epoch_can_be_selected_by_them(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, "toy", "training.selection=auc")
    write_toy_faces(recipe)
    store = FacesStore(RunFolder(recipe).faces)
    sample = sample_faces(store.summaries(["val"]), "val", recipe.batches, BINARY)
    apart = replace(sample, dataset=np.arange(len(sample.dataset)))
    with pytest.raises(ManifestError, match="no dataset of split val has real and fake videos"):
        Learner(recipe, BINARY).validate(FacesReader(store, apart, recipe.batches))


def test_weight_and_margin_do_not_enter_them(tmp_path: Path) -> None:
    plain = toy_recipe(tmp_path, "toy", "objective.triplet.weight=0")
    write_toy_faces(plain)
    weighted = toy_recipe(tmp_path, "toy", "objective.triplet={weight: 5.0, margin: 100.0}")
    (_, left), (_, right) = validated(plain), validated(weighted)
    assert left["val_loss"] != right["val_loss"]
    for name in ("val_auc", "val_log_loss"):
        assert left[name] == right[name]


@pytest.mark.parametrize(
    "classes",
    [LabelScheme.named("category", ()), LabelScheme.named("dataset", ["a", "b", "c", "d", "toy"])],
    ids=["3 classes", "6 classes"],
)
def test_the_fakes_probabilities_are_summed_whatever_the_classes(
    tmp_path: Path, classes: LabelScheme
) -> None:
    recipe = toy_recipe(tmp_path, "toy", f"batches.labels={classes.scheme}")
    write_toy_faces(recipe)
    store = FacesStore(RunFolder(recipe).faces)
    learner, figures = validated(recipe, classes)
    sample = sample_faces(store.summaries(["val"]), "val", recipe.batches)
    scores, truth = {}, {}
    for batch in FacesReader(store, sample, recipe.batches).in_order():
        assert batch.videos is not None
        faces = learner.preprocess(torch.from_numpy(batch.images))
        with torch.inference_mode():
            logits, _ = learner.validated.eval()(faces)
        fake = logits.softmax(dim=1)[:, 1:].sum(dim=1)
        for video, score, label in zip(batch.videos, fake.tolist(), batch.labels, strict=True):
            scores.setdefault(int(video), []).append(score)
            truth[int(video)] = int(label != 0)
    means = [float(np.mean(scores[video])) for video in truth]
    assert figures["val_auc"] == roc_auc_score(list(truth.values()), means)
    expected = log_loss(list(truth.values()), means)
    assert figures["val_log_loss"] == pytest.approx(expected, rel=1e-5)
