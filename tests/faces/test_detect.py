"""Every face is found: the large one at first sight, the small ones in tiles."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from dfray.config import FacesSection
from dfray.faces.detect import (
    FURTHER_PX,
    Detection,
    FaceFinder,
    SmallFaces,
    _distinct,
    _is_whole,
    _starts,
    _tile_sides,
)
from tests.helpers.heads import background, draw_head, paste, scatter


@pytest.fixture(scope="module")
def finder() -> Iterator[FaceFinder]:
    finder = FaceFinder(FacesSection())
    yield finder
    finder.close()


def matched(faces: list[Detection], heads: list[tuple[int, int]], side: int) -> int:
    """How many heads (upper left corners) hold the centre of a face of their own size."""
    found = 0
    for x, y in heads:
        found += any(
            abs(face.box[0] + face.box[2] / 2 - x - side / 2) < 0.3 * side
            and abs(face.box[1] + face.box[3] / 2 - y - side / 2) < 0.3 * side
            and 0.4 * side < face.box[2] < side
            for face in faces
        )
    return found


def counting_looks(finder: FaceFinder, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    looks: list[tuple[int, ...]] = []
    look = finder._model.look

    def counted(picture: np.ndarray) -> list[Detection]:
        looks.append(picture.shape)
        return look(picture)

    monkeypatch.setattr(finder._model, "look", counted)
    return looks


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("side", [80, 120, 200])
def test_forty_of_forty_heads_are_found_in_1080p(finder: FaceFinder, side: int, seed: int) -> None:
    n_heads = 40 if side < 200 else 20
    picture, heads = scatter(n_heads, side, 1920, 1080, seed)
    faces = finder.find(picture).faces
    assert matched(faces, heads, side) == n_heads
    assert len(faces) <= n_heads + 1


def test_one_large_face_costs_one_look(finder: FaceFinder, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = counting_looks(finder, monkeypatch)
    picture = background(1280, 720)
    paste(picture, draw_head(1, 400), 500, 150)
    (face,) = finder.find(picture).faces
    assert looks == [(720, 1280, 3)]
    assert face.score > 0.8
    right_eye, left_eye, nose, mouth, *_ = np.reshape(face.keypoints, (6, 2))
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_eye[1] < nose[1] < mouth[1]
    assert np.allclose(nose, (705, 375), atol=40)


@pytest.mark.parametrize("small_faces", ["hint", "search"])
@pytest.mark.parametrize("seed", range(3))
def test_small_faces_beside_a_large_one_are_found_if_asked_for(
    finder: FaceFinder, small_faces: SmallFaces, seed: int
) -> None:
    picture = background(1280, 720)
    paste(picture, draw_head(1, 400), 100, 150)
    small = [(700, 100), (900, 400), (1100, 600)]
    for number, (x, y) in enumerate(small):
        paste(picture, draw_head(3 * seed + number + 2, 80), x, y)
    assert matched(finder.find(picture, small_faces).faces, small, 80) == 3


def test_a_single_small_face_beside_a_large_one_gives_a_hint(finder: FaceFinder) -> None:
    for seed in range(6):
        picture = background(1280, 720)
        paste(picture, draw_head(1, 400), 100, 150)
        paste(picture, draw_head(seed + 2, 80), 700 + 75 * seed, 60 + 90 * seed)
        assert len(finder.find(picture, "hint").faces) == 2


def test_a_lone_portrait_gives_no_hint(finder: FaceFinder, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = counting_looks(finder, monkeypatch)
    picture = background(1280, 720)
    paste(picture, draw_head(1, 400), 500, 150)
    assert len(finder.find(picture, "hint").faces) == 1
    assert looks == [(720, 1280, 3), (720, 720, 3), (720, 720, 3)]


def test_a_small_face_is_looked_for_closely_and_found_once(
    finder: FaceFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = counting_looks(finder, monkeypatch)
    picture = background(1280, 720)
    paste(picture, draw_head(1, 90), 630, 300)
    faces = finder.find(picture).faces
    assert len(looks) > 1
    assert matched(faces, [(630, 300)], 90) == 1
    assert len(faces) == 1


def test_faces_come_largest_first(finder: FaceFinder) -> None:
    picture = background(640, 480)
    for seed, side, x in ((1, 120, 20), (2, 240, 150), (3, 180, 420)):
        paste(picture, draw_head(seed, side), x, 100)
    widths = [face.box[2] for face in finder.find(picture).faces]
    assert len(widths) == 3
    assert widths == sorted(widths, reverse=True)


def test_no_face_is_seen_where_there_is_none(finder: FaceFinder) -> None:
    for seed in range(3):
        assert finder.find(background(1280, 720, seed)).faces == []


def test_a_picture_of_one_pixel_holds_no_face(finder: FaceFinder) -> None:
    assert finder.find(np.zeros((1, 1, 3), np.uint8)).faces == []


def test_detections_below_the_threshold_are_no_faces(finder: FaceFinder) -> None:
    picture = background(640, 480)
    paste(picture, draw_head(1, 240), 200, 100)
    (face,) = finder.find(picture).faces
    strict = FaceFinder(FacesSection(min_score=min(1.0, face.score + 0.01)))
    assert strict.find(picture).faces == []
    strict.close()


@pytest.mark.parametrize("detector", ["short", "cascade"])
def test_the_other_detectors_find_a_plain_portrait(detector: str) -> None:
    picture = background(640, 480)
    paste(picture, draw_head(1, 300), 150, 60)
    finder = FaceFinder(FacesSection(detector=detector))
    assert matched(finder.find(picture).faces, [(150, 60)], 300) == 1
    finder.close()


def test_the_cascade_asks_the_full_range_only_where_the_short_range_sees_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finder = FaceFinder(FacesSection(detector="cascade"))
    looks = counting_looks(finder, monkeypatch)
    portrait, far = background(1280, 720), background(1280, 720)
    paste(portrait, draw_head(1, 500), 400, 100)
    paste(far, draw_head(1, 130), 600, 300)
    assert len(finder.find(portrait).faces) == 1
    assert looks == []
    assert matched(finder.find(far).faces, [(600, 300)], 130) == 1
    assert looks
    finder.close()


def test_tiles_cover_a_picture_and_overlap_by_a_quarter() -> None:
    assert _tile_sides(480) == []
    assert _tile_sides(1280) == [384, 768]
    assert _tile_sides(1920) == [384, 768]
    assert _tile_sides(3840) == [384, 768, 1536]
    for length in range(385, 4000, 7):
        starts = _starts(length, 384)
        assert starts[0] == 0
        assert starts[-1] + 384 == length
        assert max(np.diff(starts)) <= 384 * 3 / 4 + 1
    assert _starts(300, 384) == [0]


def face(x: float, y: float, side: float, score: float = 0.9) -> Detection:
    return Detection(score, (x, y, side, side), (0.0,) * 12)


def test_a_face_cut_by_an_inner_edge_is_left_to_the_neighbouring_tile() -> None:
    tile, picture = (384, 384, 3), (720, 1280, 3)
    assert _is_whole(face(100, 100, 90), (288, 0), tile, picture)
    assert not _is_whole(face(-5, 100, 90), (288, 0), tile, picture)
    assert _is_whole(face(-5, 100, 90), (0, 0), tile, picture)
    assert not _is_whole(face(300, 100, 90), (288, 0), tile, picture)
    assert _is_whole(face(300, 100, 90), (896, 0), tile, picture)
    assert not _is_whole(face(100, 350, 90), (288, 0), tile, picture)


def test_of_two_boxes_of_one_face_the_surer_is_kept() -> None:
    sure, same, part, other = (
        face(0, 0, 100),
        face(10, 5, 95, 0.7),
        face(30, 30, 40, 0.6),
        face(200, 0, 100, 0.5),
    )
    assert _distinct([other, part, same, sure]) == [sure, other]


@pytest.mark.parametrize("detector", ["full", "short", "cascade"])
def test_a_face_that_fills_the_picture_is_found(detector: str) -> None:
    finder = FaceFinder(FacesSection(detector=detector))
    for seed, tightness in itertools.product(range(4), (0.85, 1.0)):
        picture = background(640, 480, seed)
        paste(picture, draw_head(seed, 300), 150, 60)
        (face,) = finder.find(picture).faces
        x, y, width, _ = face.box
        side = round(tightness * width)
        left, top = round(x + (width - side) / 2), round(y + (width - side) / 2)
        result = finder.find(picture[top : top + side, left : left + side])
        assert len(result.faces) == 1, (seed, tightness)
        assert 0.75 * width < result.faces[0].box[2] < 1.25 * width
        assert abs(result.faces[0].box[0] + result.faces[0].box[2] / 2 - side / 2) < 0.15 * side
    finder.close()


def test_a_close_up_in_a_large_picture_is_found_in_its_own_px(finder: FaceFinder) -> None:
    picture = background(1280, 1280)
    paste(picture, draw_head(3, 1240), 20, 20)
    closeup = picture[200:1150, 150:1130]
    (face,) = finder.find(closeup).faces
    assert face.box[2] > 0.6 * closeup.shape[1]


def test_a_picture_without_a_face_costs_one_look_more(
    finder: FaceFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = counting_looks(finder, monkeypatch)
    assert finder.find(background(512, 480)).faces == []
    assert len(looks) == 2
    assert max(looks[1]) <= 3 * FURTHER_PX


def test_hints_that_nothing_confirms_start_no_search(
    finder: FaceFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder._confirmation, "accepts", lambda picture, face, *_: face.score > 0.7)
    picture = background(1280, 720)
    paste(picture, draw_head(1, 400), 100, 150)
    hint = face(900, 300, 60, 0.6)
    look, looks = finder._model.look, []

    def doubtful_in_tiles(seen: np.ndarray) -> list[Detection]:
        looks.append(seen.shape)
        return [hint] if seen.shape == (720, 720, 3) else look(seen)

    monkeypatch.setattr(finder._model, "look", doubtful_in_tiles)
    assert len(finder.find(picture, "hint").faces) == 1
    assert len(looks) == 3
