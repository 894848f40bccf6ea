"""Random affine changes: bounds, and the same matrix as torchvision's for the same draw."""

import pytest
import torch
from torchvision.transforms.v2.functional import InterpolationMode, affine

from dfray.batches.augment import warp
from dfray.config import AffineSection


def test_is_torchvisions_for_the_same_turn_shift_and_scale(crops, monkeypatch):
    drawn = iter(
        [torch.tensor([10.0]), torch.tensor([7.2]), torch.tensor([-3.1]), torch.tensor([0.9])]
    )
    monkeypatch.setattr(warp, "uniform", lambda *_: next(drawn))
    ours = warp.random_affine(crops[:1], AffineSection(), "bilinear")
    theirs = affine(
        crops[:1].float(), -10.0, [7, -3], 0.9, [0, 0], interpolation=InterpolationMode.BILINEAR
    )
    inner = (slice(None), slice(None), slice(40, -40), slice(40, -40))
    assert (ours[inner] - theirs[inner]).abs().max() <= 1.1
    assert (ours - theirs).abs().mean() < 1.5  # theirs fades to black at the edge, ours stops


def test_nothing_asked_changes_nothing(crops):
    still = AffineSection(degrees=0, shift=0, scale=(1, 1))
    assert torch.equal(warp.random_affine(crops, still, "bilinear"), crops)


def test_each_image_has_its_own_draw(crops):
    changed = warp.random_affine(crops[:1].expand(8, -1, -1, -1), AffineSection(), "bilinear")
    for other in range(1, 8):
        assert not torch.equal(changed[0], changed[other])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_outside_the_picture_it_is_black(interpolation):
    white = torch.full((64, 3, 32, 32), 255, dtype=torch.uint8)
    changed = warp.random_affine(white, AffineSection(scale=(0.5, 0.5)), interpolation)
    assert changed[:, :, 0, 0].max() == 0
    assert set(changed.unique().tolist()) == {0, 255}
