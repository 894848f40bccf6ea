"""What is filmed: heads that move, blink and speak in changing light, and fakes that follow them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dfray.demo import animate, forge
from dfray.demo.animate import CHEEK_LEFT, CHIN, EYE_LEFT, EYE_RIGHT, MOUTH, NOSE, Clip
from dfray.demo.draw import paint_portrait
from dfray.demo.identity import draw_person

FRAMES, FPS, SIZE = 30, 15, 192


def film(person: int, motion: int, speech: int) -> Clip:
    return animate.film(
        paint_portrait(draw_person(0, person), SIZE),
        animate.draw_motion(np.random.default_rng(motion), FRAMES, FPS),
        animate.draw_speech(np.random.default_rng(speech), FRAMES, FPS),
    )


@pytest.fixture(scope="module")
def target() -> Clip:
    return film(person=1, motion=1, speech=1)


@pytest.fixture(scope="module")
def fakes(target: Clip) -> dict[str, np.ndarray]:
    parameters = forge.draw_parameters(np.random.default_rng(0), FRAMES)
    return {
        "FS": forge.swap(target, film(person=2, motion=2, speech=2), parameters),
        "RE": forge.reenact(target, film(person=1, motion=1, speech=3), parameters),
    }


def change_near(fake: np.ndarray, real: Clip, point: int, radius: int = 5) -> np.ndarray:
    """Mean absolute change about `point`, per frame."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    changes = []
    for ours, theirs, points in zip(fake, real.frames, real.points, strict=True):
        x, y = points[point]
        near = np.hypot(columns - x, rows - y) <= radius
        changes.append(np.abs(ours[near].astype(float) - theirs[near]).mean())
    return np.array(changes)


def test_everyone_speaks_and_blinks() -> None:
    for seed in range(20):
        speech = animate.draw_speech(np.random.default_rng(seed), 36, FPS)
        mouth, lids = ([getattr(e, name) for e in speech] for name in ("mouth", "lids"))
        assert np.ptp(mouth) > 0.3
        assert min(lids) < 0.3 < 0.8 < max(lids)


def test_the_head_moves_and_the_light_changes(target: Clip) -> None:
    nose = target.points[:, NOSE]
    assert np.ptp(nose, axis=0).max() > 0.02 * SIZE
    assert np.ptp(target.frames.mean((1, 2, 3))) > 3


def test_people_differ_more_than_frames_of_one_person(target: Clip) -> None:
    others = [film(person, motion=1, speech=1).frames[0] for person in range(2, 8)]
    within = np.abs(target.frames[15].astype(float) - target.frames[0]).mean()
    for other in others:
        assert np.abs(other.astype(float) - target.frames[0]).mean() > within


def test_the_points_lie_on_the_face_in_every_frame(target: Clip) -> None:
    points = target.points
    assert (points > 0).all()
    assert (points < SIZE).all()
    assert (points[:, EYE_LEFT, 0] < points[:, EYE_RIGHT, 0]).all()
    assert (points[:, NOSE, 1] < points[:, MOUTH, 1]).all()
    assert (points[:, MOUTH, 1] < points[:, CHIN, 1]).all()


@pytest.mark.parametrize("point", [NOSE, CHEEK_LEFT, CHIN])
def test_the_points_follow_the_picture(point: int) -> None:
    """A lamp-red spot painted on the head is filmed where the point says, to 2 pixels."""
    portrait = paint_portrait(draw_person(0, 1), SIZE)
    speech = animate.draw_speech(np.random.default_rng(1), FRAMES, FPS)
    motion = animate.draw_motion(np.random.default_rng(1), FRAMES, FPS)
    x, y = animate.still_points(portrait)[point]
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    albedo = portrait.albedo.copy()
    albedo[np.hypot(columns - x, rows - y) < 2.5] = (0, 0, 2000)
    spotted = animate.film(dataclasses.replace(portrait, albedo=albedo), motion, speech)
    plain = animate.film(portrait, motion, speech)
    for ours, theirs, points in zip(spotted.frames, plain.frames, plain.points, strict=True):
        spot = (ours[..., 2].astype(int) - theirs[..., 2]).clip(20) - 20
        found = np.array([(spot * columns).sum(), (spot * rows).sum()]) / spot.sum()
        assert np.hypot(*(found - points[point])) < 2


def test_a_swap_changes_the_inner_face_in_every_frame_and_nothing_else(
    target: Clip, fakes: dict[str, np.ndarray]
) -> None:
    for point in (EYE_LEFT, NOSE, MOUTH):
        assert change_near(fakes["FS"], target, point).min() > 2
    assert outside(fakes["FS"], target).max() == 0


def test_a_reenactment_changes_mouth_and_eyes_and_leaves_the_nose(
    target: Clip, fakes: dict[str, np.ndarray]
) -> None:
    nose = change_near(fakes["RE"], target, NOSE, radius=3).mean()
    for point in (EYE_LEFT, EYE_RIGHT, MOUTH):
        assert change_near(fakes["RE"], target, point).mean() > 2 * nose
    assert outside(fakes["RE"], target).max() == 0


def outside(fake: np.ndarray, real: Clip) -> np.ndarray:
    """Changes farther from the nose than the head is wide."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    changes = []
    for ours, theirs, points in zip(fake, real.frames, real.points, strict=True):
        far = np.hypot(columns - points[NOSE, 0], rows - points[NOSE, 1]) > 0.3 * SIZE
        changes.append(np.abs(ours[far].astype(int) - theirs[far]).max())
    return np.array(changes)


def test_a_clip_of_one_frame_can_be_filmed_and_faked() -> None:
    rng = np.random.default_rng(0)
    portrait = paint_portrait(draw_person(0, 1), SIZE)
    motion, speech = animate.draw_motion(rng, 1, FPS), animate.draw_speech(rng, 1, FPS)
    clip = animate.film(portrait, motion, speech)
    parameters = forge.draw_parameters(rng, 1)
    assert forge.swap(clip, clip, parameters).shape == clip.frames.shape == (1, SIZE, SIZE, 3)
