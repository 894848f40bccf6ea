"""A worker's input is one frozen object, complete when it is made, that crosses processes."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
import torch
from ray import cloudpickle
from ray.train import Checkpoint

from dfray.models.bundle import Bundle
from dfray.run_folder import RunFolder
from dfray.training.launch import check_worker_config, worker_config, write_best_model
from dfray.training.worker import Worker
from dfray.training.worker_config import WorkerConfig
from tests.helpers.toy import toy_recipe, write_toy_faces
from tests.training.one_process import OneProcess, train_alone


@pytest.fixture
def config(tmp_path) -> WorkerConfig:
    recipe = toy_recipe(tmp_path, "alone", "training.epochs=2", "training.num_workers=1")
    write_toy_faces(recipe)
    return worker_config(recipe, RunFolder(recipe))


def test_it_is_frozen_and_equal_after_it_is_pickled(config):
    assert cloudpickle.loads(cloudpickle.dumps(config)) == config
    assert config.class_names == ("real", "fake")
    assert config.recipe.model.mean is not None  # resolved: no worker reads it again
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.stream_steps = 3


def test_a_worker_trains_from_it_alone_and_started_again_trains_nothing(config, tmp_path):
    check_worker_config(config)
    context = OneProcess(tmp_path)
    history = Worker(cloudpickle.loads(cloudpickle.dumps(config)), context).run()
    assert context.reported == [1, 2]
    assert [epoch["epoch"] for epoch in history] == [0, 1]
    assert {"lr", "steps", "train_loss", "val_loss", "selection_loss"} <= set(history[0])
    again = OneProcess(tmp_path, resumes=True)
    assert Worker(config, again).run() == history
    assert again.reported == []


@pytest.fixture(scope="module")
def attributed(tmp_path_factory):
    """Last bundle and history of a run on three classes, with a balanced weight and a loss of parameters."""
    folder = tmp_path_factory.mktemp("attributed")
    recipe = toy_recipe(
        folder,
        "attributed",
        "training.epochs=3",
        "training.num_workers=1",
        "batches.labels=category",
        "objective.triplet={weight: balance, balance_steps: 3, margin: 10.0}",
        "objective.metric={name: ArcFaceLoss, options: {scale: 8.0}, weight: 0.1}",
    )
    write_toy_faces(recipe)
    history = train_alone(recipe, folder)
    return Bundle.load(str(folder / "bundle")), history


def test_attribution_keeps_its_classes_and_scores_their_fakes_together(attributed):
    bundle, history = attributed
    assert bundle.class_names == ("real", "FS", "RE")
    assert bundle.detector.backbone.get_classifier().out_features == 3
    bright = np.full((4, 32, 32, 3), 150, np.uint8)
    fake, _ = bundle.predict(np.concatenate([bright, np.full_like(bright, 90)]))
    assert fake[:4].min() > fake[4:].max()
    assert history[-1]["val_metric"] < history[0]["val_metric"]


def test_a_balanced_weight_is_one_figure_of_every_epoch(attributed):
    _, history = attributed
    (weight,) = {epoch["triplet_weight"] for epoch in history}
    first = history[0]
    assert 0.2 < weight * first["train_triplet"] / first["train_cross_entropy"] < 5
    for epoch in history:
        parts = epoch["val_cross_entropy"] + weight * epoch["val_triplet"]
        assert epoch["val_loss"] == pytest.approx(parts + 0.1 * epoch["val_metric"], rel=1e-5)


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_the_model_is_made_of_the_best_epochs_checkpoint(tuning, tmp_path):
    words = ("training.epochs=2", "training.num_workers=1", f"model.tuning={tuning}")
    recipe = toy_recipe(tmp_path, "made", *words)
    write_toy_faces(recipe)
    config = worker_config(recipe, RunFolder(recipe))
    folders = [tmp_path / "other", tmp_path / "best"]
    for folder in folders:
        folder.mkdir()
    Worker(config, OneProcess(folders[0])).run()
    Worker(replace(config, recipe=with_seed(config.recipe, 1)), OneProcess(folders[1])).run()
    kept = [
        (Checkpoint.from_directory(str(folder)), {"selection_loss": loss})
        for folder, loss in zip(folders, (0.2, 0.1), strict=True)
    ]
    write_best_model(kept, replace(config, recipe=with_seed(config.recipe, 1)))
    made, trained = (Bundle.load(path) for path in (config.folder.model, folders[1] / "bundle"))
    assert made.recipe == trained.recipe
    for name, value in trained.detector.state_dict().items():
        assert torch.equal(made.detector.state_dict()[name], value), name


def with_seed(recipe, seed):
    return recipe.model_copy(update={"seed": seed})
