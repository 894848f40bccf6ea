"""A face that scores low is confirmed or refused: blobs and spots are no faces, dim and tilted heads are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from dfray.config import FacesSection
from dfray.faces.confirmation import Confirmation
from dfray.faces.detect import FaceFinder
from dfray.faces.face_detector import Detection
from dfray.faces.landmarks import LandmarkFinder
from tests.helpers.heads import background, blobs, dim_tilted_head

Build = Callable[..., FaceFinder]


@pytest.fixture(scope="module")
def build() -> Iterator[Build]:
    """Make finders, each once, and close them."""
    finders: dict[tuple[str, float], FaceFinder] = {}

    def built(detector: str = "full", doubt_score: float = 0.8) -> FaceFinder:
        key = detector, doubt_score
        if key not in finders:
            settings = FacesSection(detector=detector, doubt_score=doubt_score)
            finders[key] = FaceFinder(settings)
        return finders[key]

    yield built
    for finder in finders.values():
        finder.close()


@pytest.fixture(scope="module")
def spotted() -> list[np.ndarray]:
    return [blobs(seed) for seed in range(37, 53)]


@pytest.mark.parametrize("detector", ["full", "short", "cascade"])
def test_most_blobs_that_the_detector_takes_for_faces_are_refused(
    build: Build, spotted: list[np.ndarray], detector: str
) -> None:
    unconfirmed = [build(detector, 0.0).find(picture) for picture in spotted]
    confirmed = [build(detector).find(picture) for picture in spotted]
    is_low = [any(face.score < 0.7 for face in result.faces) for result in unconfirmed]
    n_kept = sum(any(face.score < 0.7 for face in result.faces) for result in confirmed)
    assert sum(is_low) >= 10
    assert n_kept <= sum(is_low) / 3
    assert sum(result.n_doubtful > 0 for result in confirmed) >= sum(is_low) - n_kept
    assert all(result.n_doubtful == 0 for result in unconfirmed)


def test_heads_that_score_low_are_confirmed(build: Build) -> None:
    seeds = (1, 7, 8, 11, 12, 19, 21)
    for seed in seeds:
        picture = dim_tilted_head(seed)
        unconfirmed = build(doubt_score=0.0).find(picture).faces
        result = build().find(picture)
        assert min(face.score for face in unconfirmed) < 0.7
        assert len(result.faces) == len(unconfirmed) == 1
        assert result.n_doubtful == 0


def test_a_face_near_one_of_the_picture_before_is_confirmed_unless_it_scores_low() -> None:
    confirmation = Confirmation(FacesSection(), LandmarkFinder())
    picture = background(400, 300)

    def face(score: float, x: float = 100.0, side: float = 80.0) -> Detection:
        return Detection(score, (x, 90.0, side, side), (x + 0.5 * side, 90 + 0.5 * side) * 6)

    def is_accepted(doubtful: Detection, *before: Detection) -> bool:
        return confirmation.accepts(picture, doubtful, "full", before)

    assert is_accepted(face(0.8))
    assert not is_accepted(face(0.75))
    assert is_accepted(face(0.75), face(0.9, x=150))
    assert not is_accepted(face(0.75), face(0.9, x=200))
    assert not is_accepted(face(0.75), face(0.9, side=140))
    assert not is_accepted(face(0.69), face(0.9))
    confirmation.close()


def test_with_a_bound_of_0_nothing_is_doubtful_and_no_landmark_model_is_needed() -> None:
    confirmation = Confirmation(FacesSection(doubt_score=0.0), None)
    face = Detection(0.5, (0.0, 0.0, 10.0, 10.0), (5.0,) * 12)
    assert confirmation.accepts(np.zeros((20, 20, 3), np.uint8), face, "short")


@pytest.mark.parametrize("box", [(-30.0, -30.0, 60.0, 60.0), (100.0, 90.0, 60.0, 60.0)])
def test_a_detection_that_reaches_outside_the_picture_is_judged(
    box: tuple[float, float, float, float],
) -> None:
    confirmation = Confirmation(FacesSection(), LandmarkFinder())
    x, y, side, _ = box
    points = np.array(((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.5, 0.8), (0.1, 0.5), (0.9, 0.5)))
    keypoints = (points * side + (x, y)).ravel().tolist()
    face = Detection(0.55, box, tuple(keypoints))
    assert not confirmation.accepts(np.full((100, 120, 3), 90, np.uint8), face, "full")
    confirmation.close()
