"""What a network costs against another's."""

from pathlib import Path

import pytest
import torch

from dfray.config import EvaluationSection
from dfray.evaluation import inference_cost
from dfray.evaluation.inference_cost import slowdown
from tests.helpers.tiny import RECIPE, save_bundle


def test_a_model_of_nine_times_the_pixels_costs_several_times_as_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(inference_cost, "_ROUNDS", 3)
    monkeypatch.setattr(inference_cost, "FACES", 2)
    small = str(save_bundle(tmp_path / "small"))
    model = RECIPE.model.model_copy(update={"size_px": 192})
    large = str(save_bundle(tmp_path / "large", RECIPE.model_copy(update={"model": model})))
    threads = torch.get_num_threads()
    assert slowdown(large, small) > 2
    assert slowdown(small, large) < 0.5
    assert torch.get_num_threads() == threads


def test_two_views_of_a_face_cost_about_twice_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inference_cost, "FACES", 2)
    model = RECIPE.model.model_copy(update={"size_px": 192})
    recipe = RECIPE.model_copy(update={"model": model})
    evaluation = EvaluationSection(views=["whole", "flip"])
    one = str(save_bundle(tmp_path / "one", recipe))
    two = str(save_bundle(tmp_path / "two", recipe.model_copy(update={"evaluation": evaluation})))
    assert 1.5 < slowdown(two, one) < 2.6
