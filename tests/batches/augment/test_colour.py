"""Light, blur and their shares; what RandAugment needs of colour is held to timm's in its own test."""

import pytest
import torch
from PIL import ImageEnhance

from dfray.batches.augment import colour


def test_relight_stays_within_its_factors():
    faces = torch.full((2000, 3, 4, 4), 100, dtype=torch.uint8)
    lit = colour.relight(faces, 0.2, 0.0).float().mean((1, 2, 3)) / 100
    assert 0.79 <= lit.min() < 0.82
    assert 1.18 < lit.max() <= 1.2
    assert lit.mean() == pytest.approx(1, abs=0.01)


def test_contrast_is_about_the_mean_grey_as_pillow_has_it(crops, pictures, difference):
    factor = torch.linspace(0.1, 1.9, len(crops))
    ours = colour.look_up(crops, colour.contrast_tables(crops, factor))
    theirs = [
        ImageEnhance.Contrast(picture).enhance(value.item())
        for picture, value in zip(pictures, factor, strict=True)
    ]
    assert difference(ours, theirs).max() <= 1


def test_blur_smooths_the_chosen_images_only(crops):
    changed = colour.blur(crops, 0.5)
    touched = (changed != crops).flatten(1).any(1)
    assert 0 < touched.sum() < len(crops)
    steps = [
        (images[..., 1:].float() - images[..., :-1]).abs().mean() for images in (changed, crops)
    ]
    assert steps[0] < steps[1]
    assert torch.equal(colour.blur(crops, 0.0), crops)
    flat = torch.full((4, 3, 16, 16), 93, dtype=torch.uint8)
    assert torch.equal(colour.blur(flat, 1.0), flat)
