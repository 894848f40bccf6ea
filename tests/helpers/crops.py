"""Face crops of the demo's people, with a camera's grain, without the cost of an encoder."""

from __future__ import annotations

import cv2
import numpy as np

from dfray.config import DemoSection
from dfray.demo import animate, draw, encode, identity


def draw_crops(people: int, side: int = 224) -> np.ndarray:
    """One crop of each person: uint8 (people, side, side, 3)."""
    return np.stack([_crop(person, side) for person in range(people)])


def _crop(person: int, side: int) -> np.ndarray:
    rng, settings = np.random.default_rng(person), DemoSection()
    portrait = draw.paint_portrait(identity.draw_person(0, person), settings.size_px)
    motion = animate.draw_motion(rng, 1, settings.fps)
    film = animate.film(portrait, motion, animate.draw_speech(rng, 1, settings.fps))
    (picture,) = encode.add_grain(film.frames, rng, 3.5)
    inner = slice(settings.size_px // 6, -settings.size_px // 6)
    return cv2.resize(picture[inner, inner], (side, side), interpolation=cv2.INTER_CUBIC)
