"""Augmentation: what it is on average, what it never does, and that a seed fixes it."""

import pytest
import torch

from dfray.batches.augment import Augment, blur, erase, flip_and_crop, relight
from dfray.config import AugmentSection

ALL = AugmentSection(flip=0.5, crop_scale=(0.5, 1.0), erasing=0.5, blur=0.5)
NONE = AugmentSection(flip=0, crop_scale=None, brightness=0, contrast=0)


@pytest.fixture
def pixels():
    return torch.rand(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def ramps(count, side=32):
    """Pictures whose red channel is the column, green the row: a pixel says where it came from."""
    place = (torch.arange(side) + 0.5) / side
    red, green = place.expand(side, side), place[:, None].expand(side, side)
    return torch.stack([red, green, torch.zeros(side, side)]).expand(count, -1, -1, -1)


def test_keeps_shape_dtype_and_range(pixels):
    changed = Augment(ALL)(pixels)
    assert changed.shape == pixels.shape
    assert changed.dtype == torch.float32
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_leaves_its_input_alone(pixels):
    before = pixels.clone()
    Augment(ALL)(pixels)
    assert torch.equal(pixels, before)


def test_with_everything_off_it_changes_nothing(pixels):
    assert torch.equal(Augment(NONE)(pixels), pixels)


def test_the_seed_fixes_every_draw(pixels):
    augment = Augment(ALL)
    torch.manual_seed(7)
    first, second = augment(pixels), augment(pixels)
    torch.manual_seed(7)
    assert torch.equal(augment(pixels), first)
    assert not torch.equal(first, second)


def test_each_image_has_its_own_draw():
    same = torch.rand(1, 3, 32, 32).expand(8, -1, -1, -1)
    changed = Augment(ALL)(same)
    for other in range(1, 8):
        assert not torch.equal(changed[0], changed[other])


def test_flip_mirrors_exactly(pixels):
    torch.testing.assert_close(flip_and_crop(pixels, 1.0, (1.0, 1.0)), pixels.flip(3))
    torch.testing.assert_close(flip_and_crop(pixels, 0.0, (1.0, 1.0)), pixels)


def test_flips_the_asked_share_of_images():
    changed = flip_and_crop(ramps(4000, side=4), 0.3, (1.0, 1.0))
    mirrored = changed[:, 0, 0, 0] > 0.5
    assert mirrored.float().mean() == pytest.approx(0.3, abs=0.03)


def test_a_crop_lies_inside_and_has_the_asked_area_and_ratio():
    side = 32
    changed = flip_and_crop(ramps(2000, side), 0.0, (0.4, 0.9))
    inner = side - 2  # away from the border, where sampling is clamped, the ramps stay linear
    width = (changed[:, 0, 1, -2] - changed[:, 0, 1, 1]) / (inner - 1) * side
    height = (changed[:, 1, -2, 1] - changed[:, 1, 1, 1]) / (inner - 1) * side
    area, ratio = width * height, width / height
    assert area.min() > 0.39
    assert area.max() < 0.91
    assert area.mean() == pytest.approx(0.65, abs=0.02)
    assert ratio.min() > 3 / 4 - 0.01
    assert ratio.max() < 4 / 3 + 0.01
    assert ratio.log().mean() == pytest.approx(0.0, abs=0.02)
    centre = changed[:, :2, side // 2 - 1 : side // 2 + 1, side // 2 - 1 : side // 2 + 1].mean(
        (2, 3)
    )
    assert (centre[:, 0] - width / 2).min() > -0.01
    assert (centre[:, 0] + width / 2).max() < 1.01
    assert (centre[:, 1] - height / 2).min() > -0.01
    assert (centre[:, 1] + height / 2).max() < 1.01
    assert centre.mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.02)


def test_brightness_scales_the_mean_and_contrast_keeps_it():
    pixels = 0.4 + 0.2 * torch.rand(2000, 3, 4, 4)
    mean = pixels.mean((1, 2, 3))
    lit = relight(pixels, 0.2, 0.0).mean((1, 2, 3)) / mean
    assert 0.8 <= lit.min() < 0.82
    assert 1.18 < lit.max() <= 1.2
    stretched = relight(pixels, 0.0, 0.5)
    torch.testing.assert_close(stretched.mean((1, 2, 3)), mean)
    spread = stretched.std((1, 2, 3)) / pixels.std((1, 2, 3))
    assert 0.5 <= spread.min() < 0.52
    assert 1.48 < spread.max() <= 1.5001


def test_erasing_replaces_one_rectangle_of_the_chosen_images():
    black = torch.full((1000, 3, 32, 32), -1.0)
    erased = (erase(black, 0.25) >= 0).all(dim=1)
    share = erased.float().mean((1, 2))
    chosen = share > 0
    assert chosen.float().mean() == pytest.approx(0.25, abs=0.04)
    assert share[chosen].min() > 0.005
    assert share[chosen].max() < 0.36
    rows, columns = erased.any(2), erased.any(1)
    assert torch.equal(erased, rows[:, :, None] & columns[:, None, :])


def test_blur_smooths_the_chosen_images_only(pixels):
    changed = blur(pixels, 0.5)
    touched = (changed != pixels).flatten(1).any(1)
    assert 0 < touched.sum() < len(pixels)
    assert (changed.std((1, 2, 3)) <= pixels.std((1, 2, 3)) + 1e-6).all()
    assert torch.equal(blur(pixels, 0.0), pixels)
    torch.testing.assert_close(
        blur(torch.full((4, 3, 16, 16), 0.3), 1.0), torch.full((4, 3, 16, 16), 0.3)
    )
