"""Moving features of a face: eyes, brows and mouth, drawn for every frame in two small windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dfray.demo.draw import Portrait
from dfray.demo.shapes import Grid, Picture, Plane, paint, smoothstep

TEETH, GUMS = (226, 220, 208), (52, 14, 18)
EYE_WHITE, LASHES = (232, 228, 224), (34, 24, 22)


@dataclass(frozen=True)
class Expression:
    """The facial expression of one frame.

    mouth 0 shut .. 1 wide open; width and smile -1..1; lids 0 shut .. 1 open; brows -1..1;
    gaze_x and gaze_y -1..1.
    """

    mouth: float
    width: float
    smile: float
    lids: float
    brows: float
    gaze_x: float
    gaze_y: float


def draw_expression(picture: Picture, portrait: Portrait, expression: Expression) -> None:
    """Paint the features over `picture`, the head's albedo, in place."""
    p, grid = portrait.person, portrait.grid
    eyes = grid.window(-0.62, p.eye_y - 0.42, 0.62, p.eye_y + 0.2)
    canvas = picture[eyes.rows, eyes.columns]
    _draw_eyes(canvas, portrait, eyes, expression)
    _draw_brows(canvas, portrait, eyes, expression)
    mouth = grid.window(-0.45, p.mouth_y - 0.2, 0.45, p.mouth_y + 0.34)
    _draw_mouth(picture[mouth.rows, mouth.columns], portrait, mouth, expression)


def _draw_eyes(canvas: Picture, portrait: Portrait, grid: Grid, expression: Expression) -> None:
    """Draw both eyes at once, in coordinates (u, v) mirrored about the nose; u grows outward."""
    p, unit = portrait.person, portrait.person.eye_width
    u = (np.abs(grid.x) - p.eye_x) / unit
    v = (grid.y - p.eye_y) / unit + p.eye_tilt * u
    arch = np.clip(1 - u * u, 0, None)
    lower = 0.55 * p.eye_height * arch
    opened = lower - (1.5 * p.eye_height * expression.lids) * arch
    ends = (np.abs(u) - 1) * unit
    almond = grid.inside(np.maximum(np.maximum(opened - v, v - lower) * unit, ends))
    lid = grid.inside(np.maximum((-1.25 * p.eye_height * arch - 0.12 - v) * unit, ends), 0.03)
    lid = lid * grid.inside((v - lower) * unit, 0.02)
    paint(canvas, 0.74 * np.array(p.skin), 0.55 * lid)
    crease = grid.inside(np.abs(v + 1.3 * p.eye_height * arch + 0.1) * unit - 0.006, 0.02)
    paint(canvas, 0.5 * np.array(p.skin), 0.5 * crease * (np.abs(u) < 1.05))
    paint(canvas, EYE_WHITE, almond)
    gaze = 0.32 * expression.gaze_x * np.sign(grid.x)
    radius = np.hypot(u - gaze, v - 0.12 * expression.gaze_y + 0.1 * p.eye_height) * unit
    iris = 0.5 * unit
    paint(canvas, np.array(p.iris), almond * grid.inside(radius - iris))
    ring = grid.inside(np.abs(radius - iris) - 0.008, 0.02)
    paint(canvas, 0.35 * np.array(p.iris), 0.7 * almond * ring)
    paint(canvas, (10, 8, 8), almond * grid.inside(radius - 0.42 * iris))
    shade = almond * np.clip(1 - (v - opened) / (0.45 * p.eye_height), 0, 1)
    paint(canvas, (60, 44, 42), 0.5 * shade)
    glint = np.hypot(grid.x - np.sign(grid.x) * (p.eye_x + gaze * unit) + 0.02, grid.y - p.eye_y)
    paint(canvas, (250, 250, 250), 0.9 * almond * grid.inside(glint - 0.013, 0.02))
    line = grid.inside(np.maximum(np.abs(v - opened) * unit - 0.014, ends - 0.01), 0.02)
    paint(canvas, LASHES, 0.85 * line)
    paint(
        canvas,
        0.45 * np.array(p.skin),
        0.4 * grid.inside(np.maximum(np.abs(v - lower) * unit - 0.005, ends), 0.02),
    )


def _draw_brows(canvas: Picture, portrait: Portrait, grid: Grid, expression: Expression) -> None:
    p = portrait.person
    u = (np.abs(grid.x) - p.eye_x) / (1.25 * p.eye_width)
    middle = p.eye_y - p.brow_gap - 0.045 * expression.brows
    curve = middle - p.brow_arch * (1 - (u - 0.25) ** 2) - 0.3 * p.eye_tilt * u * p.eye_width
    thickness = p.brow_thickness * np.clip(1 - 0.55 * smoothstep(-0.2, 1.1, u), 0.2, 1)
    band = np.maximum(np.abs(grid.y - curve) - thickness, (np.abs(u) - 1) * 0.1)
    hairs = np.clip(0.85 + 0.25 * portrait.hairs[grid.rows, grid.columns], 0, 1)
    colour = 0.72 * np.array(p.hair) + 0.1 * np.array(p.skin)
    paint(canvas, colour, 0.9 * hairs * grid.inside(band, 0.03))


def _draw_mouth(canvas: Picture, portrait: Portrait, grid: Grid, expression: Expression) -> None:
    """Draw lips about a curve, parted by the opening; behind them teeth, gums and tongue."""
    p = portrait.person
    unit = p.mouth_width * (1 + 0.16 * expression.width + 0.08 * expression.smile)
    u, v = grid.x / unit, (grid.y - p.mouth_y) / unit
    arch = np.sqrt(np.clip(1 - u * u, 0, None))
    middle = -0.26 * expression.smile * (u * u - 0.25)
    gap = 0.85 * expression.mouth * (1 - 0.2 * expression.width) * arch
    top, bottom = middle - 0.25 * gap, middle + 0.75 * gap
    bow = 1 - 0.28 * np.exp(-0.5 * (u / 0.13) ** 2)
    stretch = 1 - 0.25 * expression.mouth
    upper_edge = top - p.upper_lip * stretch * arch * bow
    lower_edge = bottom + p.lower_lip * stretch * arch
    ends = (np.abs(u) - 1) * unit
    lips = grid.inside(np.maximum(np.maximum(upper_edge - v, v - lower_edge) * unit, ends), 0.025)
    paint(canvas, _lip_colour(portrait, v, top, bottom), 0.85 * lips)
    hole = grid.inside(np.maximum(np.maximum(top - v, v - bottom) * unit, ends))
    paint(canvas, GUMS, hole)
    tongue = grid.bump(0, p.mouth_y + 0.7 * expression.mouth * unit, 0.5 * unit, 0.16 * unit)
    paint(canvas, (168, 78, 80), 0.7 * hole * tongue)
    teeth = hole * grid.inside((v - top - np.minimum(0.24, 0.5 * gap)) * unit, 0.015)
    paint(canvas, TEETH, 0.9 * teeth * (1 - 0.5 * u * u))
    seam = grid.inside(np.maximum(np.abs(v - top) * unit - 0.008, ends - 0.015), 0.02)
    paint(canvas, 0.28 * np.array(p.lips), 0.75 * seam)


def _lip_colour(portrait: Portrait, v: Plane, top: Plane, bottom: Plane) -> Picture:
    """Return the lips' colour: the upper lip in shadow, the lower one lit."""
    light = np.where(v < top, 0.8, 1.0 + 0.12 * np.exp(-0.5 * ((v - bottom - 0.15) / 0.07) ** 2))
    return np.asarray(np.array(portrait.person.lips) * light[..., None], np.float32)
