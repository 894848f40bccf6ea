"""Noise has the deviation that each image drew, and no pattern."""

import numpy as np
import torch
from scipy.stats import kstest, norm

from dfray.batches.augment.degrade import noise
from dfray.config.degrade import NoiseSection


def test_each_image_has_noise_of_its_own_sigma():
    grey = torch.full((3, 3, 64, 64), 128, dtype=torch.uint8)
    sigma = torch.tensor([[2.0], [10.0], [25.0]])
    added = noise.apply(grey, sigma).numpy().astype(float) - 128
    within_a_level = np.random.default_rng(0).uniform(-0.5, 0.5, added[0].size)
    for of_image, one in zip(added, sigma[:, 0].tolist(), strict=True):
        expected = norm(scale=np.hypot(one, 1 / np.sqrt(12)))
        assert kstest(of_image.ravel() + within_a_level, expected.cdf).pvalue > 1e-3
        assert abs(np.corrcoef(of_image[0].ravel(), of_image[1].ravel())[0, 1]) < 0.05


def test_levels_stay_within_their_range():
    ends = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 16, 16)
    changed = noise.apply(ends, torch.tensor([[20.0], [20.0]]))
    assert (changed[0] < 128).all()
    assert (changed[1] > 128).all()
    assert (changed != ends).flatten(1).any(1).all()


def test_no_sigma_changes_nothing(crops):
    assert torch.equal(noise.apply(crops, torch.zeros(len(crops), 1)), crops)


def test_sigma_is_uniform_in_its_range():
    drawn = noise.draw(NoiseSection(sigma=(1, 40)), 5000)[:, 0]
    assert kstest(drawn.numpy(), "uniform", (1, 39)).pvalue > 1e-3
