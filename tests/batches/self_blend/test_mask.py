"""The mask: the hull of the landmarks, deformed and softened, on the face and nowhere else."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import ConvexHull, Delaunay

from dfray.batches.self_blend.draws import Draws
from dfray.batches.self_blend.mask import (
    SOFTNESS,
    blending_mask,
    deformed_field,
    extent,
    gaussian,
    hull_field,
    soften,
)
from dfray.config import SelfBlendSection
from tests.helpers.mesh import oval_landmarks

SIDE = 96
SECTION = SelfBlendSection()
FULL = SelfBlendSection(ratios=(1.0,))


@pytest.fixture
def draws():
    torch.manual_seed(0)
    return Draws.fresh(torch.zeros(24))


def cells(side: int) -> np.ndarray:
    """(side * side, 2): the middle of every cell, in sides of the picture, row by row."""
    middle = (np.arange(side) + 0.5) / side
    return np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 2)


def test_the_field_is_positive_within_the_convex_hull_and_hardly_beyond():
    rng = np.random.default_rng(0)
    points = rng.normal(0.5, 0.12, (3, 468, 2)).astype(np.float32)
    fields = hull_field(torch.from_numpy(points), SIDE)[:, 0].reshape(3, -1).numpy()
    for field, cloud in zip(fields, points, strict=True):
        hull = cloud[ConvexHull(cloud).vertices]
        inside = Delaunay(hull).find_simplex(cells(SIDE)) >= 0
        assert field[inside].min() > -1e-6
        beyond = (field > 0) & ~inside  # 48 half-planes do not follow the sharpest corners
        assert beyond.sum() < 0.03 * inside.sum()


def test_within_a_circle_the_field_is_the_distance_to_its_edge():
    circle = oval_landmarks(1, centre=(0.5, 0.5), half=(0.3, 0.3))
    distance = 0.3 - np.linalg.norm(cells(SIDE) - 0.5, axis=1)
    field = hull_field(circle, SIDE).flatten().numpy()
    inside = distance > 0
    np.testing.assert_allclose(field[inside], distance[inside], atol=0.003)


def test_without_deformation_the_hull_comes_to_full_size_as_it_is(draws):
    points = oval_landmarks(24)
    still = SelfBlendSection(deform=0, elastic=0)
    fine = hull_field(points, SIDE)
    read_out = deformed_field(points, SIDE, draws, still)
    inner = fine > 0
    torch.testing.assert_close(read_out[inner], fine[inner], atol=0.01, rtol=0)
    assert ((read_out > 0) != inner).float().mean() < 0.01


def test_every_face_is_deformed_in_a_way_of_its_own_within_the_bounds(draws):
    points = oval_landmarks(24)
    plain, moved = hull_field(points, SIDE), deformed_field(points, SIDE, draws, SECTION)
    reach = (SECTION.deform + SECTION.elastic) * extent(points) * 2**0.5
    change = (moved - plain).abs().amax(dim=(1, 2, 3), keepdim=True)
    assert (change <= reach + 0.01).all()
    assert (change > 0.2 * reach).all()
    assert len((moved > 0).flatten(1).unique(dim=0)) == 24


def test_the_mask_lies_within_the_deformed_hull_and_covers_the_middle_of_the_face(draws):
    points = oval_landmarks(24)
    mask = blending_mask(points, SIDE, draws, FULL)
    torch.manual_seed(0)
    field = deformed_field(points, SIDE, Draws.fresh(torch.zeros(24)), FULL)
    grown = (SOFTNESS[1] - SOFTNESS[0]) * extent(points) + 2 / SIDE
    grown = grown * 2**0.5  # the two passes of a filter reach farther into corners
    outside = field < -grown - 0.02  # outside the field is less than the distance
    assert (mask[outside] == 0).all()
    assert outside.float().mean() > 0.3
    middle = mask[:, 0, int(0.52 * SIDE), SIDE // 2]
    assert (middle > 0.99).all()
    share = (mask > 0.5).float().mean(dim=(1, 2, 3))
    assert share.min() > 0.1
    assert share.max() < 0.5


def test_the_blending_ratio_is_drawn_for_each_face(draws):
    peaks = blending_mask(oval_landmarks(24), SIDE, draws, SECTION).amax(dim=(1, 2, 3))
    assert {round(peak, 3) for peak in peaks.tolist()} == {0.25, 0.5, 0.75, 1.0}


def test_a_face_beyond_the_crop_is_masked_to_its_edge(draws):
    wide = oval_landmarks(24, centre=(0.5, 0.2), half=(0.3, 0.45))
    mask = blending_mask(wide, SIDE, draws, FULL)
    assert (mask[:, 0, 0, SIDE // 2] > 0.99).all()


def test_filters_are_gaussians_that_end_at_their_radius():
    torch.manual_seed(0)
    mask = torch.rand(3, 1, 40, 40)
    radius = torch.tensor([3.0, 6.0, 9.0]).view(3, 1, 1, 1)
    filtered = gaussian(mask, radius, 12)
    for image, expected, px in zip(filtered, mask, (3, 6, 9), strict=True):
        by_scipy = expected[0].numpy()
        for axis in (0, 1):
            by_scipy = gaussian_filter1d(by_scipy, px / 2, axis, mode="nearest", radius=px)
        np.testing.assert_allclose(image[0].numpy(), by_scipy, atol=1e-5)


def test_the_first_filter_shrinks_the_mask_and_the_second_softens_it():
    disc = (hull_field(oval_landmarks(64, (0.5, 0.5), (0.3, 0.3)), SIDE) > 0).float()
    torch.manual_seed(0)
    soft = soften(disc, torch.full((64, 1, 1, 1), 0.6), Draws.fresh(disc))
    core = (soft > 0.999).float().sum(dim=(1, 2, 3))
    whole = (soft > 0).float().sum(dim=(1, 2, 3))
    area = disc[0].sum()
    assert (core < area).all()
    assert (whole < area).any()
    assert (whole > area).any()
    assert (whole > core).all()
    assert soft.min() >= 0
    assert soft.max() <= 1
