"""The batched blur is OpenCV's, each image by its own sigma."""

import cv2
import torch
from scipy.stats import kstest

from dfray.batches.augment.degrade import blur
from dfray.config.degrade import BlurSection


def test_each_image_is_blurred_as_by_opencv(crops, pictures, difference):
    sigma = torch.linspace(0.3, 5, len(crops))[:, None]
    theirs = [
        cv2.GaussianBlur(
            crop.permute(1, 2, 0).float().numpy(), (31, 31), s, borderType=cv2.BORDER_REFLECT_101
        ).round()
        for crop, s in zip(crops, sigma[:, 0].tolist(), strict=True)
    ]
    off = difference(blur.apply(crops, sigma), theirs)
    assert off.max() <= 1
    assert off.mean() < 0.01


def test_a_kernel_larger_than_the_picture_is_cut(crops):
    small = crops[:2, :, :6, :6]
    assert blur.apply(small, torch.tensor([[0.5], [5.0]])).shape == small.shape


def test_sigma_is_uniform_in_its_range():
    drawn = blur.draw(BlurSection(sigma=(0.5, 4)), 5000)[:, 0]
    assert kstest(drawn.numpy(), "uniform", (0.5, 3.5)).pvalue > 1e-3
