"""Portrait of a person, painted once as layers that `animate` lights and moves.

The head is a colour without light (albedo) over a height map, whose slopes give the normals for
the light of each frame and whose height gives the parallax when the head turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from dfray.demo.identity import Person
from dfray.demo.shapes import Grid, Picture, Plane, paint, smooth_noise, smoothstep

DEPTH = 0.72  # how far the face bulges out of the picture, head units
WALL_MARGIN = 0.08  # of the picture's side, on each edge, for the camera's drift


@dataclass(frozen=True)
class Layer:
    """A coloured cut-out the size of the picture.

    sheet: (H, W, 4), RGB already multiplied by the cover, and the cover, 0..1. box: left, top,
    right and bottom of what is covered, pixels; none if nothing is.
    """

    sheet: Picture
    box: tuple[int, int, int, int] | None

    @classmethod
    def of(cls, colour: Picture, cover: Plane) -> Layer:
        sheet = np.dstack([colour * cover[..., None], cover]).astype(np.float32)
        rows, columns = (np.flatnonzero(cover.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return cls(sheet, None)
        return cls(sheet, (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))


@dataclass(frozen=True)
class Portrait:
    """The layers of a person, back to front: wall, hair behind the head, body, head.

    albedo is the head's colour without light, (H, W, 3). normals is (H, W, 3), unit vectors;
    height is (H, W), head units; gloss (H, W) says where skin shines; hairs (H, W) is the noise
    that breaks up brows.
    """

    person: Person
    grid: Grid
    wall: Picture
    back_hair: Layer
    body: Layer
    head: Layer
    albedo: Picture
    height: Plane
    normals: Picture
    gloss: Plane
    hairs: Plane


@lru_cache(maxsize=8)
def paint_portrait(person: Person, size_px: int) -> Portrait:
    """Paint all layers of `person` for pictures of side `size_px`."""
    grid = Grid.of_picture(size_px)
    rng = np.random.default_rng([*person.seed, 1])
    outline = _outline(person, grid)
    height = _height(person, grid, outline)
    streaks = _streaks(rng, grid)
    front_hair = _front_hair(rng, person, grid, outline)
    albedo, skin_cover = _head(rng, person, grid, outline, front_hair, streaks)
    return Portrait(
        person=person,
        grid=grid,
        wall=_wall(rng, person, size_px),
        back_hair=_back_hair(person, grid, streaks),
        body=_body(rng, person, grid),
        head=Layer.of(albedo, np.maximum(skin_cover, front_hair)),
        albedo=albedo,
        height=height,
        normals=_normals(height, grid.pixel),
        gloss=skin_cover * (1 - front_hair),
        hairs=smooth_noise(rng, grid.x.shape, 0.6, 1.1),
    )


def _outline(person: Person, grid: Grid) -> Plane:
    """Return a signed distance (approximate) to the head's outline, an ellipse that narrows to the chin."""
    taper = 1 - person.jaw_taper * smoothstep(0.1, 1.05, grid.y)
    across = np.abs(grid.x) / (person.half_width * taper)
    power = 2.25
    return np.asarray((across**power + np.abs(grid.y) ** power) ** (1 / power) - 1)


def _height(person: Person, grid: Grid, outline: Plane) -> Plane:
    """Return the head's height map, head units."""
    p = person
    dome = DEPTH * np.sqrt(np.clip(1 - ((outline + 1) / 1.22) ** 2, 0.02, None))
    bridge = np.exp(-0.5 * (grid.x / (0.45 * p.nose_width)) ** 2) * np.clip(
        (grid.y - p.eye_y + 0.1) / (p.nose_y - p.eye_y + 0.1), 0, 1
    )
    nose = bridge * grid.inside(grid.y - p.nose_y - 0.02, blur=0.12)
    nose += 0.55 * grid.bump(0, p.nose_y, 0.7 * p.nose_width, 0.06)
    nose += 0.4 * grid.pair(0.8 * p.nose_width, p.nose_y + 0.03, 0.035, 0.04)
    relief = p.nose_depth * 0.7 * nose
    relief += 0.05 * grid.pair(p.eye_x, p.eye_y - p.brow_gap, 0.2, 0.06)
    relief -= 0.07 * grid.pair(p.eye_x, p.eye_y, 0.15, 0.09)
    relief += 0.05 * grid.pair(0.42, 0.28, 0.16, 0.14)
    relief += 0.05 * grid.bump(0, p.mouth_y, p.mouth_width, 0.1)
    relief += 0.05 * grid.bump(0, 0.88, 0.16, 0.09)
    height = (dome + relief).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(height, (0, 0), 0.012 / grid.pixel), np.float32)


def _normals(height: Plane, pixel: float) -> Picture:
    down, across = np.gradient(height, pixel)
    normals = np.stack([-across, -down, np.ones_like(height)], axis=-1)
    return np.asarray(normals / np.linalg.norm(normals, axis=-1, keepdims=True))


def _streaks(rng: np.random.Generator, grid: Grid) -> Plane:
    """Return hair strands: noise along the angle about the crown, nearly constant along the radius."""
    fan = smooth_noise(rng, (24, 1024), 1.2, 5.0) + 0.8 * smooth_noise(rng, (24, 1024), 14.0, 6.0)
    angle = np.arctan2(grid.x, 1.35 - (grid.y + 1.2)) / (2 * np.pi) + 0.5
    radius = np.hypot(grid.x, grid.y + 0.2) * 8
    across, along = (angle * 1023).astype(np.float32), np.clip(radius, 0, 23).astype(np.float32)
    return np.asarray(cv2.remap(fan, across, along, cv2.INTER_LINEAR), np.float32)


def _front_hair(rng: np.random.Generator, person: Person, grid: Grid, outline: Plane) -> Plane:
    """Return the cover, 0..1, of the hair in front of the head."""
    if person.cut == "bald":
        return np.zeros_like(outline)
    cropped = person.cut == "cropped"
    volume = 0.02 if cropped else person.hair_volume
    edge = smooth_noise(rng, grid.x.shape, 1.5, 6.0) * (0.012 if cropped else 0.03)
    sides = {"cropped": -0.1, "short": 0.0}.get(person.cut, 0.45)
    toward_side = smoothstep(0.72, 1.02, np.abs(grid.x) / person.half_width)
    line = person.hairline_y + person.parting * grid.x + (sides - person.hairline_y) * toward_side
    taper = volume * (1 - smoothstep(-0.2, max(sides, 0.1) + 0.3, grid.y))
    return grid.inside(outline - taper + 0.3 * edge, 0.03) * grid.inside(grid.y - line + edge, 0.03)


def _head(
    rng: np.random.Generator,
    person: Person,
    grid: Grid,
    outline: Plane,
    front_hair: Plane,
    streaks: Plane,
) -> tuple[Picture, Plane]:
    """Return the head's colour without its moving features, and the cover of its skin."""
    p, shape = person, grid.x.shape
    skin = _skin(rng, person, grid)
    ears = np.zeros(shape, np.float32)
    for side in (-1, 1):
        x = side * (p.half_width + 0.01)
        ears = np.maximum(ears, grid.ellipse(x, 0.06, 0.085 * p.ear_size, 0.19 * p.ear_size))
        paint(skin, 0.72 * np.array(p.skin), 0.6 * grid.ellipse(x, 0.06, 0.04, 0.11, 0.05))
    face = grid.inside(outline)
    paint(skin, 0.6 * np.array(p.skin), 0.5 * ears * (1 - grid.inside(outline, 0.06)))
    skin_cover = np.maximum(face, ears)
    hair = np.array(p.hair) * (1 + 0.13 * streaks[..., None])
    paint(skin, np.clip(hair, 0, 255), front_hair)
    return np.clip(skin, 0, 255), skin_cover


def _skin(rng: np.random.Generator, person: Person, grid: Grid) -> Picture:
    """Paint skin with blotches, pores, freckles, flush, beard and the shade of hollows."""
    p, shape = person, grid.x.shape
    tone = 1 + 0.022 * smooth_noise(rng, shape, 12) + 0.016 * smooth_noise(rng, shape, 0.8)
    skin = np.asarray(np.array(p.skin) * tone[..., None], np.float32)
    flush = grid.pair(0.42, 0.26, 0.17, 0.13) + 0.7 * grid.bump(0, p.nose_y, 0.1, 0.08)
    paint(skin, np.array(p.skin) * (1.0, 0.78, 0.76), 0.45 * flush)
    spots = (smooth_noise(rng, shape, 1.0) > 2.1) * grid.bump(0, 0.2, 0.45, 0.22)
    paint(skin, np.array(p.skin) * (0.72, 0.6, 0.52), 0.7 * p.freckles * spots)
    chin = smoothstep(0.32, 0.66, grid.y + 0.35 * np.abs(grid.x) - 0.05)
    chin *= 1 - 0.8 * grid.bump(0, p.mouth_y - 0.01, 0.8 * p.mouth_width, 0.05)
    stubble = np.clip(0.7 + 0.16 * smooth_noise(rng, shape, 0.7), 0, 1)
    paint(skin, 0.8 * np.array(p.hair), p.beard * chin * stubble)
    hollows = 0.34 * grid.pair(p.eye_x, p.eye_y - 0.02, 0.16, 0.09)
    hollows += 0.16 * grid.pair(p.eye_x, p.eye_y + 0.12, 0.12, 0.04)
    hollows += 0.38 * grid.bump(0, p.nose_y + 0.1, 0.9 * p.nose_width, 0.03)
    hollows += 0.22 * grid.pair(1.1 * p.nose_width, p.nose_y + 0.03, 0.03, 0.05)
    hollows += 0.20 * grid.bump(0, p.mouth_y + 0.17, 0.5 * p.mouth_width, 0.03)
    hollows += 0.45 * smoothstep(0.88, 1.04, np.abs(grid.y) * (grid.y > 0))
    paint(skin, np.array(p.skin) * (0.42, 0.3, 0.28), np.clip(hollows, 0, 1))
    nostrils = grid.pair(0.52 * p.nose_width, p.nose_y + 0.065, 0.028, 0.016)
    paint(skin, (36, 18, 16), 0.85 * nostrils)
    return skin


def _back_hair(person: Person, grid: Grid, streaks: Plane) -> Layer:
    """Return the layer of hair behind the head; empty with short cuts."""
    bottom = {"bob": 0.75, "long": 1.5}.get(person.cut)
    colour = np.clip(np.array(person.hair) * (0.62 + 0.16 * streaks[..., None]), 0, 255)
    if bottom is None:
        return Layer.of(colour, np.zeros_like(grid.x))
    width = person.half_width * (1.12 + person.hair_volume)
    top = 0.96 + person.hair_volume
    vertical = np.where(grid.y < 0, grid.y / top, grid.y / bottom)
    radius = ((np.abs(grid.x) / width) ** 3 + np.abs(vertical) ** 3) ** (1 / 3)
    return Layer.of(colour, grid.inside(radius - 1 + 0.015 * streaks, 0.03))


def _body(rng: np.random.Generator, person: Person, grid: Grid) -> Layer:
    """Return the layer of neck and shoulders, lit once: they move too little to need normals."""
    p = person
    half_neck = 0.62 * p.half_width
    shoulder = 1.42 + 0.55 * smoothstep(0.3, 2.2, np.abs(grid.x)) - 0.12 * grid.bump(0, 1.4, 0.6, 2)
    neck = grid.inside(np.abs(grid.x) - half_neck - 0.12 * (grid.y - 0.9) ** 2)
    neck = neck * (grid.y > 0.3)
    torso = grid.inside(shoulder - grid.y)
    fold = 1 + 0.07 * smooth_noise(rng, grid.x.shape, 9) - 0.12 * np.abs(grid.x)
    round_neck = 1 - 0.45 * (grid.x / half_neck) ** 2
    shadow = 0.5 + 0.4 * smoothstep(0.95, 1.5, grid.y)
    body = np.array(p.skin, np.float32) * (np.clip(round_neck, 0.4, 1) * shadow)[..., None]
    collar = grid.ellipse(0, 1.36, half_neck * 1.15, 0.26)
    cloth_cover = torso * (1 - collar * neck)
    paint(body, np.array(p.cloth) * np.clip(fold, 0.3, 1.3)[..., None], cloth_cover)
    paint(body, 0.55 * np.array(p.cloth), 0.7 * _ring(grid, half_neck * 1.15) * torso)
    return Layer.of(np.clip(body, 0, 255), np.maximum(neck, torso))


def _ring(grid: Grid, radius: float) -> Plane:
    """Return the cover of the collar's seam."""
    distance = (np.hypot(grid.x / radius, (grid.y - 1.36) / 0.26) - 1) * 0.26
    return grid.inside(np.abs(distance) - 0.02) * (grid.y > 1.36)


def _wall(rng: np.random.Generator, person: Person, size_px: int) -> Picture:
    """Paint the wall behind the person, out of focus, with a margin for the camera's drift."""
    side = size_px + 2 * round(WALL_MARGIN * size_px)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    light = 1 + 0.5 * (rng.uniform(-1, 1) * (x - 0.5) + rng.uniform(-1, 0.3) * (y - 0.5))
    wall = np.asarray(np.array(person.wall) * light[..., None], np.float32)
    accent = rng.uniform(20, 225, (6, 3))
    if person.wall_kind == "stripes":
        stripe = np.sin(2 * np.pi * (x * rng.uniform(3, 9) + rng.uniform(-1, 1) * y))
        paint(wall, accent[0], 0.3 * smoothstep(-0.15, 0.15, stripe))
    elif person.wall_kind == "shelves":
        books = (x * rng.uniform(14, 26) + 3 * (y * 4).astype(int)).astype(int)
        paint(wall, accent[books % 6], 0.55 * (((y * 4) % 1) > 0.25))
    elif person.wall_kind == "lights":
        for colour in accent:
            cx, cy, radius = rng.uniform(0, 1), rng.uniform(0, 0.8), rng.uniform(0.03, 0.12)
            paint(wall, colour, 0.6 * smoothstep(-0.02, 0.02, radius - np.hypot(x - cx, y - cy)))
    wall *= 1 + 0.03 * smooth_noise(rng, (side, side), 5)[..., None]
    blur = rng.uniform(0.004, 0.012) * side
    return np.clip(cv2.GaussianBlur(wall, (0, 0), blur), 0, 255)
