"""What training changes is one whole: its networks agree, and the file has what was judged."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from dfray.batches.labels import BINARY
from dfray.config import Recipe
from dfray.training.learner import Learner
from dfray.training.step import TrainStep
from tests.helpers.toy import toy_recipe
from tests.training.kit import faces_and_labels


def recipe_of(folder: Path, backbone: str, *overrides: str) -> Recipe:
    return toy_recipe(folder, "toy", f"model.backbone={backbone}", *overrides)


def take(step: TrainStep, *numbers: int) -> None:
    for number in numbers:
        step(*faces_and_labels(16, seed=number), number)


def test_statistics_over_all_workers_leave_the_activations(tmp_path: Path) -> None:
    """timm's BatchNorm layers apply the activation that follows them."""
    recipe = recipe_of(tmp_path, "test_efficientnet")
    own = Learner(recipe, BINARY).detector.eval()
    shared = Learner(recipe, BINARY, sync_statistics=True).detector.eval()
    assert any(isinstance(module, nn.SyncBatchNorm) for module in shared.modules())
    faces = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(shared(faces), own(faces))


def test_a_balanced_weight_is_measured_over_steps_whatever_their_parts(tmp_path: Path) -> None:
    balanced = "objective.triplet={weight: balance, balance_steps: 2, margin: 10.0}"
    for accumulate in (1, 4):
        recipe = recipe_of(tmp_path, "test_vit", balanced, f"training={{accumulate: {accumulate}}}")
        learner = Learner(recipe, BINARY)
        balance, step = learner.objective.balance, learner.step(learner.detector)
        assert balance is not None
        weights = []
        for number in range(4):
            take(step, number)
            weights.append(balance.value)
        assert weights[0] != weights[1] == weights[2] == weights[3]
