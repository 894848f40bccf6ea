"""The batched resizing is Pillow's on the way down and torch's on the way up, each image by its own scale."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.stats import kstest

from dfray.batches.augment.degrade import resize
from dfray.config.degrade import ResizeSection


def down_and_up(picture, scale):
    small = max(1, round(scale * picture.width))
    shrunk = np.array(picture.resize((small, small), Image.Resampling.BILINEAR))
    grown = F.interpolate(
        torch.from_numpy(shrunk).permute(2, 0, 1)[None].float(), picture.size, mode="bicubic"
    )
    return grown[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()


def test_each_image_is_resized_by_its_own_scale(crops, pictures, difference):
    scale = torch.linspace(0.01, 1, len(crops))[:, None]
    theirs = [down_and_up(p, s) for p, s in zip(pictures, scale[:, 0].tolist(), strict=True)]
    off = difference(resize.apply(crops, scale), theirs)
    assert off.max() <= 2
    assert off.mean() < 0.2  # Pillow rounds between rows and columns


def test_the_whole_size_changes_nothing(crops):
    assert torch.equal(resize.apply(crops, torch.ones(len(crops), 1)), crops)


@pytest.mark.parametrize("side", [1, 33])
def test_any_side_is_kept(side, crops):
    small = crops[:3, :, :side, :side]
    assert resize.apply(small, torch.tensor([[0.01], [0.5], [1.0]])).shape == small.shape


def test_the_scale_is_uniform_in_its_range():
    drawn = resize.draw(ResizeSection(scale=(0.2, 0.8)), 5000)[:, 0]
    assert kstest(drawn.numpy(), "uniform", (0.2, 0.6)).pvalue > 1e-3
