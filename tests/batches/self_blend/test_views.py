"""Source and target: one of them changed, the source moved, all in range."""

import pytest
import torch

from dfray.batches.self_blend.draws import Draws
from dfray.batches.self_blend.views import (
    change_colour,
    change_frequency,
    displace,
    source_and_target,
)
from dfray.config import SelfBlendSection

STILL = SelfBlendSection(
    rgb=0, hue=0, saturation=0, value=0, brightness=0, contrast=0, scale=0, shift=0
)


@pytest.fixture
def pixels():
    return torch.rand(32, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def draws(pixels):
    torch.manual_seed(0)
    return Draws.fresh(pixels)


def fineness(pixels):
    """Mean step from pixel to pixel, for each image."""
    return (pixels[..., 1:] - pixels[..., :-1]).abs().mean(dim=(1, 2, 3))


def test_one_view_of_each_face_is_the_face_itself(pixels, draws):
    source, target = source_and_target(pixels, draws, STILL)
    same = [
        ((view - pixels).abs().amax(dim=(1, 2, 3)) < 1e-5).tolist() for view in (source, target)
    ]
    assert all(a != b for a, b in zip(*same, strict=True))
    assert 8 <= sum(same[0]) <= 24


def test_with_no_range_the_colours_stay(pixels, draws):
    torch.testing.assert_close(change_colour(pixels, draws, STILL), pixels, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["rgb", "hue", "saturation", "value", "brightness", "contrast"])
def test_every_colour_range_moves_the_colours_of_each_face_by_its_own(pixels, draws, name):
    muted = 0.3 + 0.4 * pixels
    section = STILL.model_copy(update={name: 0.1})
    moved = change_colour(muted, draws, section) - muted
    size = moved.abs().mean(dim=(1, 2, 3))
    assert (size > 1e-6).all()
    assert size.max() < 0.12
    assert len(size.unique()) == len(pixels)


def test_half_of_the_faces_lose_details_and_half_gain(pixels, draws):
    changed = change_frequency(pixels, draws)
    gain = fineness(changed) / fineness(pixels)
    lost, sharpened = gain < 0.7, gain > 1.02
    assert (lost ^ sharpened).all()
    assert 8 <= lost.sum() <= 24
    flat = torch.full((32, 3, 64, 64), 0.4)
    torch.testing.assert_close(change_frequency(flat, draws), flat)


def test_a_side_that_no_factor_divides_is_kept():
    odd = torch.rand(4, 3, 61, 61)
    assert change_frequency(odd, Draws.fresh(odd)).shape == odd.shape


def test_the_source_moves_by_no_more_than_the_ranges(draws):
    side = 64
    place = (torch.arange(side) + 0.5) / side
    ramps = torch.stack(
        (place.expand(side, side), place[:, None].expand(side, side), torch.zeros(side, side))
    ).expand(32, -1, -1, -1)
    moved = displace(ramps, draws, SelfBlendSection(scale=0.05, shift=0.03))
    centre = moved[:, :2, side // 2 - 1 : side // 2 + 1, side // 2 - 1 : side // 2 + 1]
    shift = centre.mean(dim=(2, 3)) - 0.5
    assert 0.02 < shift.abs().max() < 0.031
    inner = moved[:, 0, 32, 8:56]
    scale = (place[1] - place[0]) / (inner[:, -1] - inner[:, 0]) * (inner.shape[1] - 1)
    assert 0.95 - 1e-3 < scale.min() < 0.97
    assert 1.03 < scale.max() < 1.05 + 1e-3
    assert not torch.equal(shift[:, 0], shift[:, 1])


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_the_ends_of_the_range_stay_in_it(draws, level):
    wild = SelfBlendSection(rgb=0.5, value=0.5, saturation=0.5, brightness=0.5, contrast=0.5)
    for view in source_and_target(torch.full((32, 3, 64, 64), level), draws, wild):
        assert view.min() >= 0
        assert view.max() <= 1
