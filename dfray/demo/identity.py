"""Appearance of one generated person, drawn from a seed.

Lengths are in head units: the head's half height is 1, its centre the origin, x to the right and
y down; so the chin lies at y = 1 and the crown at y = -1. Colours are RGB, 0..255.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]

_SKIN = np.array([(240, 206, 186), (224, 178, 150), (188, 138, 108), (138, 94, 70), (90, 62, 50)])
_HAIR = np.array(
    [
        *[(28, 24, 24), (58, 40, 30), (98, 66, 42), (142, 98, 58)],
        *[(202, 168, 112), (132, 58, 34), (150, 148, 146), (206, 202, 198)],
    ]
)
_IRIS = np.array([(70, 44, 26), (104, 70, 38), (96, 110, 64), (84, 120, 150), (120, 134, 142)])
_WALLS = ("plain", "stripes", "shelves", "lights")
_CUTS = ("cropped", "short", "short", "bob", "long", "long", "bald")


@dataclass(frozen=True)
class Person:
    """The appearance of one identity, the same in all of its clips."""

    seed: tuple[int, ...]
    skin: Colour
    lips: Colour
    hair: Colour
    iris: Colour
    cloth: Colour
    wall: Colour
    wall_kind: str
    cut: str
    half_width: float
    jaw_taper: float
    hairline_y: float
    hair_volume: float
    parting: float
    eye_x: float
    eye_y: float
    eye_width: float
    eye_height: float
    eye_tilt: float
    brow_gap: float
    brow_arch: float
    brow_thickness: float
    nose_y: float
    nose_width: float
    nose_depth: float
    mouth_y: float
    mouth_width: float
    upper_lip: float
    lower_lip: float
    ear_size: float
    freckles: float
    beard: float


def draw_person(*seed: int) -> Person:
    """Draw the person of `seed`; the same seed gives the same person."""
    rng = np.random.default_rng(seed)
    skin = _between(rng, _SKIN) * rng.normal(1, 0.025, 3)
    lips = 0.62 * skin + 0.38 * np.array((172, 62, 72)) * rng.uniform(0.75, 1.1)
    return Person(
        seed=seed,
        skin=_colour(skin),
        lips=_colour(lips),
        hair=_colour(_pick(rng, _HAIR) * rng.normal(1, 0.06, 3)),
        iris=_colour(_pick(rng, _IRIS) * rng.uniform(0.8, 1.2)),
        cloth=_colour(rng.uniform(40, 190) + rng.normal(0, 32, 3)),
        wall=_colour(rng.uniform(50, 190) + rng.normal(0, 22, 3)),
        wall_kind=_WALLS[rng.integers(len(_WALLS))],
        cut=_CUTS[rng.integers(len(_CUTS))],
        half_width=rng.uniform(0.67, 0.80),
        jaw_taper=rng.uniform(0.12, 0.36),
        hairline_y=rng.uniform(-0.66, -0.46),
        hair_volume=rng.uniform(0.05, 0.22),
        parting=rng.uniform(-0.25, 0.25),
        eye_x=rng.uniform(0.275, 0.335),
        eye_y=rng.uniform(-0.06, 0.03),
        eye_width=rng.uniform(0.135, 0.175),
        eye_height=rng.uniform(0.36, 0.56),
        eye_tilt=rng.uniform(-0.14, 0.20),
        brow_gap=rng.uniform(0.16, 0.23),
        brow_arch=rng.uniform(0.02, 0.08),
        brow_thickness=rng.uniform(0.022, 0.055),
        nose_y=rng.uniform(0.28, 0.37),
        nose_width=rng.uniform(0.085, 0.145),
        nose_depth=rng.uniform(0.16, 0.28),
        mouth_y=rng.uniform(0.56, 0.64),
        mouth_width=rng.uniform(0.21, 0.30),
        upper_lip=rng.uniform(0.14, 0.30),
        lower_lip=rng.uniform(0.20, 0.38),
        ear_size=rng.uniform(0.8, 1.2),
        freckles=max(0.0, rng.uniform(-1.0, 1.0)),
        beard=max(0.0, rng.uniform(-1.2, 0.9)),
    )


def _pick(rng: np.random.Generator, colours: np.ndarray) -> np.ndarray:
    return np.asarray(colours[rng.integers(len(colours))])


def _between(rng: np.random.Generator, colours: np.ndarray) -> np.ndarray:
    """Draw a colour along the polyline of `colours`."""
    place = rng.uniform(0, len(colours) - 1)
    low = int(place)
    return np.asarray(colours[low] + (place - low) * (colours[low + 1] - colours[low]))


def _colour(rgb: np.ndarray) -> Colour:
    red, green, blue = np.clip(rgb, 8, 247)
    return float(red), float(green), float(blue)
