"""Animation of a portrait: its layers moved and lit, filmed as frames and a face tracker's points.

A head turn is a parallax: every point shifts by its height times the sine of the angle. One warp
per frame does parallax, jaw, tilt, place and zoom together.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfray.demo.draw import WALL_MARGIN, Layer, Portrait
from dfray.demo.expression import Expression, draw_expression
from dfray.demo.shapes import HEAD_CENTRE, HEAD_RADIUS, Picture, smoothstep

AMBIENT, DIFFUSE, GLOSS = 0.52, 0.62, 26.0

# The order of a face's points.
EYE_LEFT, EYE_RIGHT, BROW_LEFT, BROW_RIGHT, NOSE, MOUTH, CHEEK_LEFT, CHEEK_RIGHT, CHIN = range(9)


@dataclass(frozen=True)
class Motion:
    """Head, light and camera, one value per frame.

    yaw, pitch, roll: radians. shift (T, 2): head units. zoom: 1 is neutral. light (T, 3): unit
    vectors towards the lamp. gain (T, 3): its RGB strength. drift (T, 2): camera, -1..1.
    softness: blur of the lens, pixels, for the whole clip.
    """

    yaw: NDArray[np.floating]
    pitch: NDArray[np.floating]
    roll: NDArray[np.floating]
    shift: NDArray[np.floating]
    zoom: NDArray[np.floating]
    light: NDArray[np.floating]
    gain: NDArray[np.floating]
    drift: NDArray[np.floating]
    softness: float


@dataclass(frozen=True)
class Clip:
    """A filmed clip.

    frames: (T, H, W, 3) uint8 RGB. points: (T, 9, 2) pixels, EYE_LEFT to CHIN.
    """

    frames: NDArray[np.uint8]
    points: NDArray[np.floating]


def draw_motion(rng: np.random.Generator, frames: int, fps: int) -> Motion:
    """Draw the motion of a swaying head under a moving lamp."""
    time = np.arange(frames) / fps
    light = np.stack(
        [
            rng.uniform(-0.7, 0.7) + 0.45 * _sway(rng, time, 0.5),
            rng.uniform(-0.6, 0.0) + 0.25 * _sway(rng, time, 0.5),
            np.ones(frames),
        ],
        axis=1,
    )
    warmth = rng.uniform(-0.07, 0.07) + 0.03 * _sway(rng, time, 0.4)
    level = rng.uniform(0.85, 1.1) + 0.1 * _sway(rng, time, 0.7)
    return Motion(
        yaw=rng.uniform(-0.12, 0.12) + 0.24 * _sway(rng, time, 0.5),
        pitch=rng.uniform(-0.05, 0.05) + 0.13 * _sway(rng, time, 0.7),
        roll=rng.uniform(-0.05, 0.05) + 0.08 * _sway(rng, time, 0.5),
        shift=np.stack([0.13 * _sway(rng, time, 0.4), 0.07 * _sway(rng, time, 0.6)], axis=1),
        zoom=rng.uniform(0.92, 1.1) + 0.03 * _sway(rng, time, 0.3),
        light=light / np.linalg.norm(light, axis=1, keepdims=True),
        gain=level[:, None] * np.stack([1 + warmth, np.ones(frames), 1 - warmth], axis=1),
        drift=np.stack([_sway(rng, time, 0.3), _sway(rng, time, 0.3)], axis=1),
        softness=rng.uniform(0.35, 0.8),
    )


def draw_speech(rng: np.random.Generator, frames: int, fps: int) -> list[Expression]:
    """Draw one expression per frame: syllables with pauses, blinks, and a mood."""
    time = np.arange(frames) / fps
    syllables = np.abs(np.sin(np.pi * rng.uniform(2.6, 3.8) * time + 0.8 * _sway(rng, time, 1.5)))
    voiced = smoothstep(-0.45, -0.1, _sway(rng, time, 0.6).astype(np.float32))
    mouth = np.clip(syllables * voiced * rng.uniform(0.45, 0.95), 0, 1)
    blinks = np.arange(rng.uniform(0.2, 1.1), time[-1] + 0.1, rng.uniform(1.0, 1.8))
    shut = np.exp(-(((time[:, None] - blinks) / 0.085) ** 2)).sum(axis=1)
    lids = np.clip(rng.uniform(0.85, 1.1) - 1.15 * shut, 0, 1.15)
    width, smile = 0.8 * _sway(rng, time, 1.8), rng.uniform(-0.3, 0.7) + 0.4 * _sway(rng, time, 0.4)
    brows, gaze_x, gaze_y = (_sway(rng, time, rate) for rate in (0.8, 0.6, 0.6))
    columns = (mouth, width, smile, lids, brows, np.round(1.5 * gaze_x) / 1.5, gaze_y)
    return [Expression(*(float(value) for value in row)) for row in zip(*columns, strict=True)]


def _sway(
    rng: np.random.Generator, time: NDArray[np.floating], rate_hz: float
) -> NDArray[np.floating]:
    """Return smooth random values within about -1..1: three sines of random rate and phase."""
    waves = np.zeros_like(time)
    for strength in (0.6, 0.3, 0.15):
        rate, phase = rate_hz * rng.uniform(0.6, 1.5), rng.uniform(0, 2 * np.pi)
        waves += strength * np.sin(2 * np.pi * rate * time + phase)
        rate_hz *= 1.7
    return waves


def film(portrait: Portrait, motion: Motion, speech: list[Expression]) -> Clip:
    """Return the clip of `portrait` with the head motion `motion` and the expressions `speech`."""
    shots = [_shoot(portrait, motion, k, expression) for k, expression in enumerate(speech)]
    return Clip(np.stack([frame for frame, _ in shots]), np.stack([points for _, points in shots]))


def _shoot(
    portrait: Portrait, motion: Motion, k: int, expression: Expression
) -> tuple[NDArray[np.uint8], NDArray[np.floating]]:
    """Return frame k and its points."""
    gain = motion.gain[k].astype(np.float32)
    parallax = _parallax(portrait, motion, k, expression)
    place = _placement(portrait, motion, k)
    picture = _wall(portrait, motion.drift[k]) * (0.35 + 0.65 * gain)
    hair_place = place.copy()
    hair_place[:, 2] -= 0.35 * place[:, :2] @ _turn(portrait, motion, k)
    _lay(picture, portrait.back_hair, hair_place, gain)
    body_place = np.eye(2, 3)
    body_place[:, 2] = 0.4 * (place @ (*_centre(portrait), 1) - _centre(portrait))
    _lay(picture, portrait.body, body_place, gain)
    head = Layer(_light_head(portrait, motion, k, expression), portrait.head.box)
    _lay(picture, head, place, gain, parallax)
    picture = cv2.GaussianBlur(picture, (0, 0), motion.softness)
    points = _points(portrait, parallax) @ place[:, :2].T + place[:, 2]
    return np.clip(picture, 0, 255).astype(np.uint8), points.astype(np.float32)


def _centre(portrait: Portrait) -> NDArray[np.floating]:
    return np.array(HEAD_CENTRE) * len(portrait.height)


def _placement(portrait: Portrait, motion: Motion, k: int) -> NDArray[np.floating]:
    """Return the (2, 3) matrix from the portrait's pixels to the picture's: roll, zoom and shift."""
    radius = HEAD_RADIUS * len(portrait.height)
    centre = _centre(portrait)
    angle, zoom = float(np.degrees(motion.roll[k])), float(motion.zoom[k])
    matrix = np.array(cv2.getRotationMatrix2D(tuple(centre), angle, zoom), np.float64)
    matrix[:, 2] += radius * motion.shift[k]
    return matrix


def _turn(portrait: Portrait, motion: Motion, k: int) -> NDArray[np.floating]:
    """Return the shift in pixels of a point one head unit high."""
    radius = HEAD_RADIUS * len(portrait.height)
    return radius * np.sin([motion.yaw[k], motion.pitch[k]])


def _parallax(portrait: Portrait, motion: Motion, k: int, expression: Expression) -> Picture:
    """Return (H, W, 2), the shift in pixels of each point by the head's turn and speech."""
    person, y = portrait.person, portrait.grid.y
    move = portrait.height[..., None] * _turn(portrait, motion, k).astype(np.float32)
    jaw = smoothstep(person.mouth_y + 0.08, 0.95, y)
    move[..., 1] += (0.09 * expression.mouth / portrait.grid.pixel) * jaw
    return move


def _light_head(portrait: Portrait, motion: Motion, k: int, expression: Expression) -> Picture:
    """Return the head's sheet with the expression and light of frame k."""
    colour = portrait.albedo.copy()
    draw_expression(colour, portrait, expression)
    sheet = portrait.head.sheet.copy()
    box = _slices(portrait.head.box)
    facing = np.clip(portrait.normals[box] @ motion.light[k].astype(np.float32), 0, None)
    shine = facing * facing
    for _ in range(3):
        shine *= shine
    lit = colour[box] * (AMBIENT + DIFFUSE * facing)[..., None]
    lit += (GLOSS * portrait.gloss[box] * shine)[..., None]
    sheet[(*box, slice(0, 3))] = lit * sheet[(*box, slice(3, 4))]
    return sheet


def _lay(
    picture: Picture,
    layer: Layer,
    place: NDArray[np.floating],
    gain: NDArray[np.floating],
    parallax: Picture | None = None,
) -> None:
    """Put the moved `layer` over `picture` in place."""
    if layer.box is None:
        return
    rows, columns = box = _landing(layer.box, place, len(picture))
    place = place.copy()
    place[:, 2] -= columns.start, rows.start
    size = columns.stop - columns.start, rows.stop - rows.start
    if parallax is None:
        moved = cv2.warpAffine(layer.sheet, place, size)
    else:
        back = cv2.invertAffineTransform(place).astype(np.float32)
        across, down = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in size))
        shift = cv2.warpAffine(parallax, place, size)
        source_x = back[0, 0] * across + back[0, 1] * down + back[0, 2] - shift[..., 0]
        source_y = back[1, 0] * across + back[1, 1] * down + back[1, 2] - shift[..., 1]
        moved = cv2.remap(layer.sheet, source_x, source_y, cv2.INTER_LINEAR)
    under = picture[box]
    under *= 1 - moved[..., 3:]
    under += moved[..., :3] * gain


def _slices(box: tuple[int, int, int, int] | None) -> tuple[slice, slice]:
    left, top, right, bottom = box or (0, 0, 0, 0)
    return slice(top, bottom), slice(left, right)


def _landing(
    box: tuple[int, int, int, int], place: NDArray[np.floating], size: int
) -> tuple[slice, slice]:
    """Return the rows and columns of the picture that a layer's `box` can reach."""
    left, top, right, bottom = box
    corners = np.array([(left, top, 1), (right, top, 1), (left, bottom, 1), (right, bottom, 1)])
    reach = corners @ place.T
    slack = 0.25 * HEAD_RADIUS * size  # for the parallax and the jaw
    low = np.clip(reach.min(0) - slack, 0, size - 1).astype(int)
    high = np.clip(reach.max(0) + slack, low + 1, size).astype(int)
    return _slices((*low, *high))


def _wall(portrait: Portrait, drift: NDArray[np.floating]) -> Picture:
    """Return the section of the wall in the drifting camera's view."""
    size = len(portrait.height)
    margin = (len(portrait.wall) - size) // 2
    offset = margin + np.clip(drift, -1.1, 1.1) * WALL_MARGIN * size * 0.4
    matrix = np.array([[1, 0, -offset[0]], [0, 1, -offset[1]]])
    return np.asarray(cv2.warpAffine(portrait.wall, matrix, (size, size)), np.float32)


def still_points(portrait: Portrait) -> NDArray[np.floating]:
    """Return the points of the unmoved portrait, (9, 2) pixels: EYE_LEFT to CHIN."""
    p, radius = portrait.person, HEAD_RADIUS * len(portrait.height)
    brow_y, cheek_x = p.eye_y - p.brow_gap - p.brow_arch, 0.72 * p.half_width
    points = [(-p.eye_x, p.eye_y), (p.eye_x, p.eye_y), (-p.eye_x, brow_y), (p.eye_x, brow_y)]
    points += [(0, p.nose_y), (0, p.mouth_y), (-cheek_x, p.nose_y), (cheek_x, p.nose_y), (0, 0.9)]
    return np.array(points) * radius + _centre(portrait)


def _points(portrait: Portrait, parallax: Picture) -> NDArray[np.floating]:
    """Return the points after the head's turn and speech, before it is placed."""
    moved = still = still_points(portrait)
    for _ in range(3):  # the parallax is read at a point's new position, so it is iterated
        column, row = np.clip(moved.round().astype(int), 0, len(portrait.height) - 1).T
        moved = still + parallax[row, column]
    return moved
