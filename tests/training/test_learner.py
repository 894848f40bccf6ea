"""What training changes is one whole: its networks agree, and the file has what was judged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from dfray.batches.labels import BINARY
from dfray.config import Recipe
from dfray.errors import RecipeError
from dfray.models.bundle import Bundle, fake_probability
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


def averaging(folder: Path) -> Learner:
    """A network with BatchNorm, and a moving average of it."""
    return Learner(recipe_of(folder, "test_efficientnet", "training.ema=0.9"), BINARY)


def test_a_moving_average_is_of_the_statistics_too(tmp_path: Path) -> None:
    learner = averaging(tmp_path)
    step, buffers = learner.step(learner.detector), dict(learner.validated.named_buffers())
    expected = {name: buffer.clone() for name, buffer in buffers.items()}
    for number in range(4):
        take(step, number)
        decay = min(0.9, 1 - (number + 1) ** (-2 / 3))
        for name, trained in learner.detector.named_buffers():
            mixed = expected[name] * decay + trained * (1 - decay)
            expected[name] = mixed if trained.is_floating_point() else trained.clone()
            torch.testing.assert_close(buffers[name], expected[name], msg=name)
    means = [name for name in expected if name.endswith("running_mean")]
    trained = dict(learner.detector.named_buffers())
    assert means
    assert not any(torch.equal(buffers[name], trained[name]) for name in means)


def test_the_kept_bundle_scores_like_the_average_that_was_judged(tmp_path: Path) -> None:
    learner = averaging(tmp_path)
    take(learner.step(learner.detector), 0, 1, 2, 3)
    learner.bundle().save(tmp_path / "kept" / "bundle")
    faces, _ = faces_and_labels(8, seed=9)
    with torch.inference_mode():
        judged, trained = (
            fake_probability(network.eval()(learner.preprocess(faces))[0])
            for network in (learner.validated, learner.detector)
        )
    probabilities, _ = Bundle.load(tmp_path / "kept" / "bundle").predict(faces)
    torch.testing.assert_close(torch.from_numpy(probabilities), judged)
    assert not torch.allclose(judged, trained, rtol=1e-3)


def test_terms_on_trained_components_are_of_training_alone(tmp_path: Path) -> None:
    weights = "objective.components={orthogonality: 2.0, singular_values: 3.0}"
    recipe = recipe_of(tmp_path, "test_vit", "model.tuning=svd", weights)
    learner = Learner(recipe, BINARY)
    step = learner.step(learner.detector)
    for number in range(3):
        terms = step(*faces_and_labels(16, seed=number), number)
    assert terms["orthogonality"] > 0
    rest = terms["cross_entropy"] + 0.1 * terms["triplet"]
    added = 2 * terms["orthogonality"] + 3 * terms["singular_values"]
    torch.testing.assert_close(terms["loss"], rest + added)
    learner.objective.eval()
    terms = learner.objective(torch.zeros(4, 2), torch.randn(4, 64), torch.tensor([0, 1, 0, 1]))
    assert "orthogonality" not in terms


def test_terms_on_components_without_any_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"model.tuning is full.*use svd"):
        recipe_of(tmp_path, "test_vit", "objective.components.orthogonality=1.0")
