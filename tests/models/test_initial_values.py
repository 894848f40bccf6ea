"""A network that is loaded next is built without drawing the values that the file replaces."""

import pytest
import torch

from dfray.config import ModelSection
from dfray.models.backbone import build_detector
from dfray.models.initial_values import SkipDraws


@pytest.mark.parametrize(
    "backbone", ["test_vit", "test_resnet", "test_convnext", "vit_tiny_patch16_224"]
)
def test_without_draws_a_network_takes_no_random_number_and_is_complete_once_loaded(backbone):
    section = ModelSection(backbone=backbone, size_px=32, head_init_std=0.01)
    drawn = build_detector(section, 2).eval()
    before = torch.get_rng_state()
    with SkipDraws():
        loaded = build_detector(section, 2).eval()
    assert torch.equal(torch.get_rng_state(), before)
    loaded.load_state_dict(drawn.state_dict())
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(images), drawn(images), rtol=0, atol=0)


def test_constants_are_set_and_functions_on_values_work_as_always():
    with SkipDraws():
        norm = torch.nn.BatchNorm2d(3)
        bounded = torch.tensor([-2.0, 0.5, 2.0]).clamp(-1, 1)
    assert norm.weight.tolist() == norm.running_var.tolist() == [1, 1, 1]
    assert bounded.tolist() == [-1, 0.5, 1]


def test_a_draw_that_is_repeated_until_its_bounds_hold_ends_on_any_memory():
    weight = torch.full((3, 8), float("inf"))  # what an allocator may hand out
    with SkipDraws():
        for bounds in ({"std": 2e-5}, {"mean": 3.0, "a": 2.0, "b": 4.0}, {"a": -0.1, "b": 0.1}):
            torch.nn.init.trunc_normal_(weight.fill_(torch.inf), **bounds)
    assert weight.isfinite().all()
