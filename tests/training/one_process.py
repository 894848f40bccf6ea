"""A training worker that is alone in the test's process, without Ray."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import nn

from dfray.config import Recipe
from dfray.run_folder import RunFolder
from dfray.training.context import History
from dfray.training.launch import worker_config
from dfray.training.learner import Learner
from dfray.training.worker import Worker


class OneProcess:
    """The surroundings of the worker; counts the reports and saves each epoch to `folder`.

    Args:
        resumes: the worker starts from what was saved there.
    """

    rank, world_size = 0, 1
    device = torch.device("cpu")

    def __init__(self, folder: Path, *, resumes: bool = False) -> None:
        self.folder, self.resumes = folder, resumes
        self.reported: list[int] = []

    def checkpoint(self) -> AbstractContextManager[str] | None:
        return nullcontext(str(self.folder)) if self.resumes else None

    def prepare(self, model: nn.Module) -> nn.Module:
        return model

    def report(self, learner: Learner, history: History) -> None:
        self.reported.append(len(history))
        learner.save(self.folder, history)
        learner.bundle().save(self.folder / "bundle")


def train_alone(recipe: Recipe, folder: Path) -> History:
    """Train on the recipe's faces; `folder`/bundle is the last epoch's."""
    return Worker(worker_config(recipe, RunFolder(recipe)), OneProcess(folder)).run()
