"""Random erasing is timm's mode `pixel`: normal noise in a rectangle of normalised images."""

import random

import pytest
import torch
from scipy.stats import ks_2samp, kstest
from timm.data.random_erasing import RandomErasing

from dfray.batches.augment.erase import erase

BLANK = -100.0


def shares(images):
    """Erased fraction of each erased image."""
    share = (images != BLANK).all(dim=1).float().mean((1, 2))
    return share[share > 0]


def test_erases_one_rectangle_of_the_chosen_images():
    erased = (erase(torch.full((1000, 3, 32, 32), BLANK), 0.25) != BLANK).all(dim=1)
    assert erased.any((1, 2)).float().mean() == pytest.approx(0.25, abs=0.04)
    rows, columns = erased.any(2), erased.any(1)
    assert torch.equal(erased, rows[:, :, None] & columns[:, None, :])


def test_rectangles_are_drawn_as_timm_draws_them():
    random.seed(0)
    blank = torch.full((1500, 3, 32, 32), BLANK)
    theirs = RandomErasing(1.0, mode="pixel", device="cpu")(blank.clone())
    assert ks_2samp(shares(erase(blank, 1.0)), shares(theirs)).pvalue > 1e-3


def test_fills_with_normal_noise():
    erased = erase(torch.full((40, 3, 32, 32), BLANK), 1.0)
    assert kstest(erased[erased != BLANK].numpy(), "norm").pvalue > 1e-3


def test_leaves_its_input_and_the_others_alone():
    images = torch.full((8, 3, 16, 16), BLANK)
    erase(images, 1.0)
    assert (images == BLANK).all()
    assert torch.equal(erase(images, 0.0), images)
