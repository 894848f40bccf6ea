"""A face's box stays on the face, also where the picture cuts it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from dfray.config import FacesSection
from dfray.faces.face_detector import Detection, FaceDetector
from dfray.faces.model_file import Kind
from tests.helpers.heads import background, draw_head, paste

SIDE, LEFT, TOP = 240, 200, 120  # of the head in a picture of 640 x 480


@pytest.fixture(scope="module", params=["full", "short"])
def detector(request: pytest.FixtureRequest) -> Iterator[FaceDetector]:
    kind: Kind = request.param
    detector = FaceDetector(kind, FacesSection())
    yield detector
    detector.close()


def centre(face: Detection) -> np.ndarray:
    x, y, w, h = face.box
    return np.array((x + w / 2, y + h / 2))


def portrait(seed: int) -> np.ndarray:
    picture = background(640, 480, seed)
    paste(picture, draw_head(seed, SIDE), LEFT, TOP)
    return picture


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("across", "down"), [(0.25, None), (None, 0.25), (0.2, 0.2)])
def test_a_box_cut_by_the_left_or_upper_edge_reaches_outside(
    detector: FaceDetector, seed: int, across: float | None, down: float | None
) -> None:
    picture = portrait(seed)
    (whole,) = detector.look(picture)
    x, y, width, height = whole.box
    dx = 0 if across is None else round(x + across * width)
    dy = 0 if down is None else round(y + down * height)
    (face,) = detector.look(picture[dy:, dx:])
    off = (centre(face) - (centre(whole) - (dx, dy))) / width
    assert np.abs(off).max() < 0.1, off
    if across is not None:
        assert face.box[0] < -0.1 * width
    if down is not None:
        assert face.box[1] < -0.1 * height


def test_a_box_inside_the_picture_is_as_detected(detector: FaceDetector) -> None:
    (face,) = detector.look(portrait(1))
    assert all(value == int(value) for value in face.box)  # as MediaPipe gives them


def test_a_detection_is_moved_with_its_keypoints() -> None:
    face = Detection(0.9, (1.0, 2.0, 10.0, 10.0), (3.0, 4.0) * 6)
    moved = face.moved(100, 200, scale=2)
    assert moved.box == (102.0, 204.0, 20.0, 20.0)
    assert moved.keypoints == (106.0, 208.0) * 6
