"""Crops are drawn as torchvision draws them and resampled as Pillow does."""

import random

import pytest
import torch
from PIL import Image
from scipy.stats import ks_2samp
from timm.data.transforms import RandomResizedCropAndInterpolation

from dfray.batches.augment.crop import RATIO, draw_crops, flip, resized_crop


@pytest.mark.parametrize("size", [224, 96])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_resized_crop_is_pillows_to_a_level(interpolation, size, crops, pictures, difference):
    boxes = draw_crops(len(crops), 224, (0.08, 1.0))
    ours = resized_crop(crops, boxes, size, interpolation)
    corners = zip(
        *(part.tolist() for part in (boxes.left, boxes.top, boxes.width, boxes.height)), strict=True
    )
    theirs = [
        picture.crop((x, y, x + w, y + h)).resize(
            (size, size), Image.Resampling[interpolation.upper()]
        )
        for picture, (x, y, w, h) in zip(pictures, corners, strict=True)
    ]
    off = difference(ours, theirs)
    assert off.mean() < 0.25  # Pillow rounds and clips between rows and columns
    assert off.max() <= 5


def test_the_whole_picture_at_its_own_size_is_itself(crops):
    whole = draw_crops(len(crops), 224, None)
    assert torch.equal(resized_crop(crops, whole, 224, "bicubic"), crops)


@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.9, 1.0)])
def test_boxes_are_drawn_as_timm_draws_them(scale):
    count = 4000
    boxes = draw_crops(count, 224, scale)
    random.seed(0)
    picture = Image.new("RGB", (224, 224))
    theirs = [
        RandomResizedCropAndInterpolation.get_params(picture, scale, RATIO) for _ in range(count)
    ]
    ours = [boxes.top, boxes.left, boxes.height, boxes.width]
    for drawn, expected in zip(ours, zip(*theirs, strict=True), strict=True):
        assert ks_2samp(drawn.numpy(), expected).pvalue > 1e-3


def test_boxes_lie_inside():
    boxes = draw_crops(5000, 64, (0.08, 1.0))
    assert boxes.left.min() == boxes.top.min() == 0
    assert (boxes.left + boxes.width).max() == (boxes.top + boxes.height).max() == 64
    assert boxes.width.min() > 0
    assert boxes.height.min() > 0


def test_where_no_crop_fits_in_ten_attempts_the_whole_is_shown(monkeypatch):
    monkeypatch.setattr("dfray.batches.augment.crop.RATIO", (3.0, 3.0))  # wider than the picture
    boxes = draw_crops(8, 64, (1.0, 1.0))
    assert boxes.left.tolist() == boxes.top.tolist() == [0] * 8
    assert boxes.width.tolist() == boxes.height.tolist() == [64] * 8


def test_flip_mirrors_the_asked_share(crops):
    assert torch.equal(flip(crops, 1.0), crops.flip(3))
    assert torch.equal(flip(crops, 0.0), crops)
    many = torch.arange(4, dtype=torch.uint8).expand(4000, 3, 4, 4)
    mirrored = flip(many, 0.3)[:, 0, 0, 0] == 3
    assert mirrored.float().mean() == pytest.approx(0.3, abs=0.03)
