"""What training changes is one whole: its networks agree, and the file has what was judged."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from dfray.batches.labels import BINARY
from dfray.config import Recipe
from dfray.training.learner import Learner
from tests.helpers.toy import toy_recipe


def recipe_of(folder: Path, backbone: str, *overrides: str) -> Recipe:
    return toy_recipe(folder, "toy", f"model.backbone={backbone}", *overrides)


def test_statistics_over_all_workers_leave_the_activations(tmp_path: Path) -> None:
    """timm's BatchNorm layers apply the activation that follows them."""
    recipe = recipe_of(tmp_path, "test_efficientnet")
    own = Learner(recipe, BINARY).detector.eval()
    shared = Learner(recipe, BINARY, sync_statistics=True).detector.eval()
    assert any(isinstance(module, nn.SyncBatchNorm) for module in shared.modules())
    faces = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(shared(faces), own(faces))
