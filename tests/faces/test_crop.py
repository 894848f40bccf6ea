"""The square around a face: inside the picture, as large as asked or as fits, never stretched."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dfray.faces.crop import crop_square, cut

sides = st.integers(1, 4000)
boxes = st.tuples(
    st.floats(-500, 4500), st.floats(-500, 4500), st.floats(0, 5000), st.floats(0, 5000)
)


@given(boxes, sides, sides, st.floats(0.5, 3))
def test_it_lies_inside_the_picture_and_is_as_large_as_asked_or_as_fits(
    box: tuple[float, float, float, float], width: int, height: int, margin: float
) -> None:
    x, y, side = crop_square(box, width, height, margin)
    assert side >= 1
    assert 0 <= x <= width - side
    assert 0 <= y <= height - side
    assert side == min(max(1, round(margin * max(box[2:]))), width, height)


@given(boxes, sides, sides, st.floats(0.5, 3))
def test_it_is_shifted_no_farther_than_the_edge_demands(
    box: tuple[float, float, float, float], width: int, height: int, margin: float
) -> None:
    x, y, side = crop_square(box, width, height, margin)
    for start, length, centre in (
        (x, width, box[0] + box[2] / 2),
        (y, height, box[1] + box[3] / 2),
    ):
        is_centred = abs(start + side / 2 - centre) <= 0.5
        assert is_centred or start in (0, length - side)


def test_a_box_in_the_middle_is_enlarged_about_its_centre() -> None:
    assert crop_square((100, 80, 50, 40), 640, 480, 1.4) == (90, 65, 70)


def test_a_large_face_in_a_small_picture_takes_the_whole_shorter_side() -> None:
    assert crop_square((10, -20, 200, 200), 320, 180, 1.3) == (20, 0, 180)


def test_a_circle_stays_a_circle() -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    y, x = np.mgrid[0:300, 0:400]
    picture[(x - 390) ** 2 + (y - 150) ** 2 < 60**2] = 255
    crop = cut(picture, crop_square((290, 50, 200, 200), 400, 300, 1.0), 100)
    disc = crop[..., 0] > 127
    rows, columns = disc.any(1).sum(), disc.any(0).sum()
    assert crop.shape == (100, 100, 3)
    assert abs(rows - 60) <= 1
    assert abs(columns - 35) <= 1  # the picture ends 10 px right of the circle's middle


def test_a_crop_of_the_right_size_is_copied_and_a_single_pixel_is_enlarged() -> None:
    picture = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    crop = cut(picture, (2, 3, 4), 4)
    assert np.array_equal(crop, picture[3:7, 2:6])
    assert crop.flags.c_contiguous
    assert np.all(cut(picture, (1, 1, 1), 224) == picture[1, 1])
