"""A worker's input is one frozen object, complete when it is made, that crosses processes."""

from __future__ import annotations

import dataclasses
from contextlib import AbstractContextManager

import pytest
import torch
from ray import cloudpickle
from torch import nn

from dfray.run_folder import RunFolder
from dfray.training.context import History
from dfray.training.launch import check_worker_config, worker_config
from dfray.training.learner import Learner
from dfray.training.worker import Worker
from dfray.training.worker_config import WorkerConfig
from tests.helpers.toy import toy_recipe, write_toy_faces


class OneProcess:
    """The surroundings of a worker that is alone, without Ray; collects the reports."""

    rank, world_size = 0, 1
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.reported: list[int] = []

    def checkpoint(self) -> AbstractContextManager[str] | None:
        return None

    def prepare(self, model: nn.Module) -> nn.Module:
        return model

    def report(self, learner: Learner, history: History) -> None:
        self.reported.append(len(history))


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


def test_a_worker_trains_from_it_alone(config):
    check_worker_config(config)
    context = OneProcess()
    history = Worker(cloudpickle.loads(cloudpickle.dumps(config)), context).run()
    assert context.reported == [1, 2]
    assert [epoch["epoch"] for epoch in history] == [0, 1]
    assert {"lr", "steps", "train_loss", "val_loss", "selection_loss"} <= set(history[0])
