"""Figures of videos that runs with different objectives and classes can be compared by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

from dfray.batches.labels import BINARY, LabelScheme
from dfray.batches.reader import FacesReader
from dfray.batches.sample import sample_faces
from dfray.config import Recipe
from dfray.errors import TrainingError
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
    figures = _video_metrics(probability, is_fake, video)
    assert figures["auc"] == roc_auc_score(truth, means)
    assert figures["log_loss"] == pytest.approx(log_loss(truth, means), rel=1e-6)


def test_a_video_and_what_was_blended_from_it_are_two() -> None:
    twice = torch.tensor([3, 3, 3, 3])
    is_fake = torch.tensor([False, True, False, True])
    figures = _video_metrics(torch.tensor([0.1, 0.8, 0.3, 0.6]), is_fake, twice)
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


def test_without_both_classes_there_is_no_auc() -> None:
    figures = _video_metrics(torch.tensor([0.4]), torch.tensor([True]), torch.tensor([0]))
    assert figures.keys() == {"log_loss"}


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
