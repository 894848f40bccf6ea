"""A screen capture is the perspective that OpenCV gives, under the waves of light that are written down."""

import math

import cv2
import numpy as np
import pytest
import torch
from scipy.stats import kstest

from dfray.batches.augment.degrade import screen
from dfray.config.degrade import ScreenSection


def captured(crop, drawn):
    """One picture, by OpenCV's perspective and the definition of the waves."""
    tilt_x, tilt_y, angle, phase, other, periods, amplitude, gamma = drawn
    side = len(crop)
    to_unit = np.array([[2 / side, 0, 1 / side - 1], [0, 2 / side, 1 / side - 1], [0, 0, 1]])
    zoom = 1 - abs(tilt_x) - abs(tilt_y)
    tilt = np.array([[zoom, 0, 0], [0, zoom, 0], [tilt_x, tilt_y, 1]])
    ys, xs = np.mgrid[:side, :side]
    at = np.einsum("ij,jyx->iyx", tilt @ to_unit, np.stack([xs, ys, np.ones_like(xs)]))
    u, v = at[0] / at[2], at[1] / at[2]
    seen = cv2.warpPerspective(
        crop.astype(np.float32),
        np.linalg.inv(to_unit) @ tilt @ to_unit,
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    along = u * math.cos(angle) + v * math.sin(angle)
    across = v * math.cos(angle) - u * math.sin(angle)
    rows = 1 + amplitude * np.cos(math.pi * periods * across + other)
    for channel in range(3):
        wave = np.cos(math.pi * periods * along + phase + channel * 2 * math.pi / 3)
        light = (seen[..., channel] / 255) ** 2.2 * (1 + amplitude * wave) * rows
        seen[..., channel] = 255 * light ** (gamma / 2.2)
    return seen.round().clip(0, 255)


def test_each_image_is_captured_as_it_drew(crops, difference):
    drawn = screen.draw(ScreenSection(tilt=0.1, moire=(0, 0.4)), len(crops))
    faces = crops.permute(0, 2, 3, 1).numpy()
    theirs = [captured(crop, row) for crop, row in zip(faces, drawn.tolist(), strict=True)]
    off = difference(screen.apply(crops, drawn), theirs)
    assert off.mean() < 0.3  # OpenCV's weights are in steps of 1/32 of a pixel
    assert np.percentile(off, 99.9) <= 3


def test_nothing_asked_changes_nothing(crops):
    still = ScreenSection(tilt=0, moire=(0, 0), gamma=(1, 1))
    changed = screen.apply(crops, screen.draw(still, len(crops)))
    assert (changed.int() - crops.int()).abs().max() <= 1


def test_nothing_comes_in_from_outside_the_picture():
    white = torch.full((64, 3, 32, 32), 255, dtype=torch.uint8)
    drawn = screen.draw(ScreenSection(tilt=0.25, moire=(0, 0)), 64)
    assert screen.apply(white, drawn).min() == 255


def test_red_green_and_blue_have_fringes_a_third_of_a_period_apart():
    grey = torch.full((1, 3, 64, 64), 128, dtype=torch.uint8)
    drawn = torch.tensor([[0, 0, 0, 0, math.pi / 2, 4, 0.3, 1]])
    row = screen.apply(grey, drawn)[0, :, 0].double().numpy()
    fundamental = np.fft.rfft(row - row.mean(axis=1, keepdims=True))[:, 4]
    apart = np.angle(fundamental[1:] / fundamental[:-1])
    assert apart == pytest.approx([2 * math.pi / 3] * 2, abs=0.05)


def test_draws_are_uniform_in_their_ranges():
    section = ScreenSection(tilt=0.1, moire=(0.1, 0.3), fringes=(5, 10), gamma=(0.5, 2))
    drawn = screen.draw(section, 4000).T.numpy()
    turns = [(0, 2 * math.pi)] * 3
    ranges = [(-0.1, 0.1)] * 2 + turns + [(5, 10), (0.1, 0.3), (0.5, 2)]
    for values, (low, high) in zip(drawn, ranges, strict=True):
        assert kstest(values, "uniform", (low, high - low)).pvalue > 1e-3
