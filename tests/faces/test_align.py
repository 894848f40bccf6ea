"""Alignment: eyes, nose and mouth where ArcFace's template has them, whatever the head's turn and size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfray.config import FacesSection
from dfray.faces.align import Alignment
from dfray.faces.face_detector import Detection
from dfray.faces.landmarks import LandmarkFinder
from dfray.faces.sources import PixelArray, VideoFile
from dfray.faces.video import Face, VideoExtractor
from tests.helpers.clips import write_clip
from tests.helpers.heads import background, draw_head, paste
from tests.helpers.mesh_points import eyes

EYES = np.array([(38.2946, 51.6963), (73.5318, 51.5014)]) / 112
"""Of ArcFace's template, in sides of its square."""
ALIGNED = FacesSection(align="five_points", keep="largest", landmarks=True, size_px=256)


@pytest.fixture(scope="module")
def extractor() -> Iterator[VideoExtractor]:
    extractor = VideoExtractor(ALIGNED)
    yield extractor
    extractor.close()


def picture_of(angle: float, side: int = 220, scale: float = 1.0) -> np.ndarray:
    """A drawn head of `side` px, turned by `angle` degrees about the middle."""
    picture = background(480, 480)
    paste(picture, draw_head(1, side), 240 - side // 2, 240 - side // 2)
    turn = cv2.getRotationMatrix2D((240, 240), angle, scale)
    return cv2.warpAffine(picture, turn, (480, 480), borderMode=cv2.BORDER_REPLICATE)


def face_of(extractor: VideoExtractor, picture: np.ndarray) -> Face:
    ((face,),) = (frame.faces for frame in extractor.extract(PixelArray(picture)))
    return face


def roll(points: np.ndarray) -> float:
    """Angle of the line through two eyes, in degrees."""
    across, down = points[1] - points[0]
    return float(np.degrees(np.arctan2(down, across)))


@pytest.mark.parametrize("angle", [-30, -15, 0, 20, 30])
def test_a_turned_head_comes_upright(extractor: VideoExtractor, angle: float) -> None:
    face = face_of(extractor, picture_of(angle))
    assert roll(np.reshape(face.keypoints, (6, 2))[:2]) == pytest.approx(-angle, abs=6)
    assert face.image.shape == (256, 256, 3)
    again = LandmarkFinder().find(face.image, whole(face.image))  # of the crop itself
    assert again is not None
    assert abs(roll(eyes(again))) < 4
    assert face.landmarks is not None
    assert np.abs(eyes(face.landmarks) - eyes(again)).max() < 0.03 * 256


def whole(crop: np.ndarray) -> Detection:
    """A detection of most of a crop, level, from which the landmark model takes its region."""
    side = len(crop)
    points = (0.38, 0.48, 0.62, 0.48, *(0.5, 0.6, 0.5, 0.7, 0.3, 0.5, 0.7, 0.5))
    box = (0.25 * side, 0.28 * side, 0.5 * side, 0.5 * side)
    return Detection(1.0, box, tuple(side * value for value in points))


@pytest.mark.parametrize("side", [120, 220, 400])
def test_eyes_lie_as_far_apart_as_in_the_template_whatever_the_size(
    extractor: VideoExtractor, side: int
) -> None:
    face = face_of(extractor, picture_of(0, side))
    assert face.landmarks is not None
    expected = ((EYES - 0.5) / 1.3 + 0.5) * 256
    found = eyes(face.landmarks)
    np.testing.assert_allclose(found.mean(axis=0), expected.mean(axis=0), atol=0.06 * 256)
    assert np.ptp(found[:, 0]) == pytest.approx(np.ptp(expected[:, 0]), rel=0.25)


def test_points_of_the_template_come_to_lie_on_it() -> None:
    five = np.array(
        [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (56.1396, 92.2848)]
    )
    turn = np.array([(1.2, -0.9), (0.9, 1.2)])  # by 37 degrees, 1.5 times as large
    keypoints = np.concatenate([five @ turn.T + (30, 7), np.zeros((2, 2))])
    face = Detection(1.0, (0, 0, 1, 1), tuple(keypoints.ravel()))
    for size_px, margin in ((112, 1.0), (256, 1.3)):
        placed = Alignment.of(face, None, size_px, margin).place(keypoints[:4])
        expected = (((five + 0.5) / 112 - 0.5) / margin + 0.5) * size_px
        np.testing.assert_allclose(placed, expected, atol=1e-6)


def test_a_pixel_comes_to_lie_where_points_are_placed() -> None:
    picture = np.zeros((300, 300, 3), np.uint8)
    picture[140:149, 160:169] = 255
    keypoints = np.array([(120, 120), (175, 130), (143, 155), (140, 185), (0, 0), (0, 0)], float)
    face = Detection(1.0, (0, 0, 1, 1), tuple(keypoints.ravel()))
    for size_px in (64, 112, 512):
        alignment = Alignment.of(face, None, size_px, 1.3)
        bright = np.argwhere(alignment.cut(picture)[:, :, 0] > 127)[:, ::-1] + 0.5
        middle = alignment.place(np.array([(164.5, 144.5)]))[0]
        np.testing.assert_allclose(bright.mean(axis=0), middle, atol=0.1 * alignment.scale + 0.3)


def test_what_lies_outside_of_the_picture_is_black_and_the_face_stays(
    extractor: VideoExtractor,
) -> None:
    picture = picture_of(0)[:, 150:]
    face = face_of(extractor, picture)
    x, _, side = face.crop
    assert x < 0
    assert not face.image[:, : int(-x / side * 256) - 2].any()
    assert face.image[128, 128].any()


def test_without_a_mesh_the_detectors_points_are_used(
    extractor: VideoExtractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The landmark model refuses true profiles; their faces are kept."""
    monkeypatch.setattr(extractor._landmarks, "find", lambda *_: None)
    face = face_of(extractor, picture_of(25))
    assert face.landmarks is None
    again = LandmarkFinder().find(face.image, whole(face.image))
    assert again is not None
    assert abs(roll(eyes(again))) < 6


def test_the_largest_face_alone_is_kept_and_small_ones_are_not_searched_for(
    extractor: VideoExtractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = background(1280, 720)
    paste(picture, draw_head(1, 420), 100, 150)
    for seed, x in ((2, 700), (3, 900), (4, 1100)):
        paste(picture, draw_head(seed, 80), x, 300)
    asked = []
    find = extractor._finder.find
    monkeypatch.setattr(
        extractor._finder,
        "find",
        lambda image, small, *rest: asked.append(small) or find(image, small, *rest),
    )
    path = write_clip(tmp_path / "crowd.mp4", [picture] * 3, fps=1)
    frames = list(extractor.extract(VideoFile(str(path))))
    assert [len(frame.faces) for frame in frames] == [1, 1, 1]
    for frame in frames:
        x, _, w, _ = frame.faces[0].box
        assert 100 < x + w / 2 < 520
        assert w > 200
    assert set(asked) == {"skip"}
