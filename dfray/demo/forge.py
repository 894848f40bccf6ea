"""The fakes: a face swap and a reenactment, made picture by picture from a real clip's frames.

Both follow the classical recipe of their category: align by a tracker's points, lose some detail
as a generator does, match the colours imperfectly, and blend with a soft mask that follows the
motion. How well each step is done differs from clip to clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfray.demo.animate import (
    BROW_LEFT,
    BROW_RIGHT,
    CHEEK_LEFT,
    CHEEK_RIGHT,
    EYE_LEFT,
    EYE_RIGHT,
    MOUTH,
    Clip,
)
from dfray.demo.shapes import Picture, Plane

ANCHORS = [EYE_LEFT, EYE_RIGHT, MOUTH]  # what the alignment of two faces rests on
INNER_FACE = [BROW_LEFT, BROW_RIGHT, CHEEK_LEFT, CHEEK_RIGHT, MOUTH]

Frame = NDArray[np.uint8]
Points = NDArray[np.floating]


@dataclass(frozen=True)
class Craft:
    """How one fake was made.

    detail: share of the face's resolution that survives. tint: RGB error of the colour match,
    0..255. match: 0..1, how far the donor's colours are brought to the target's. feather: width
    of the mask's edge over the distance of the eyes. wobble (T, 2): tracking error, the same unit.
    """

    detail: float
    tint: NDArray[np.floating]
    match: float
    feather: float
    wobble: NDArray[np.float64]


def draw_craft(rng: np.random.Generator, frames: int) -> Craft:
    return Craft(
        detail=rng.uniform(0.32, 0.50),
        tint=rng.normal(0, 6, 3).astype(np.float32),
        match=rng.uniform(0.75, 0.95),
        feather=rng.uniform(0.10, 0.22),
        wobble=rng.normal(0, 0.016, (frames, 2)),
    )


def swap(target: Clip, donor: Clip, craft: Craft) -> NDArray[np.uint8]:
    """FS: the donor's inner face in the target's clip; (T, H, W, 3) uint8 RGB."""
    frames = [_swap_frame(target, donor, craft, k) for k in range(len(target.frames))]
    return np.stack(frames)


def reenact(target: Clip, driven: Clip, craft: Craft) -> NDArray[np.uint8]:
    """RE: mouth and eyes of `driven`, the same person and motion with another expression."""
    frames = [_reenact_frame(target, driven, craft, k) for k in range(len(target.frames))]
    return np.stack(frames)


def _swap_frame(target: Clip, donor: Clip, craft: Craft, k: int) -> Frame:
    points, span = target.points[k], _span(target.points[k])
    window = _window(points[INNER_FACE], 0.75 * span, target.frames.shape[1])
    aim = points[ANCHORS] + (craft.wobble[k] * span).astype(np.float32) - _corner(window)
    matrix = cv2.getAffineTransform(donor.points[k][ANCHORS], aim.astype(np.float32))
    face = target.frames[k][window].astype(np.float32)
    alien = cv2.warpAffine(
        donor.frames[k], matrix, face.shape[1::-1], borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32)
    mask = _hull(points[INNER_FACE] - _corner(window), face.shape[:2], craft.feather * span)
    alien = _match_colour(alien, face, mask, craft)
    return _blend(target.frames[k], window, _lose_detail(alien, craft.detail), mask)


def _reenact_frame(target: Clip, driven: Clip, craft: Craft, k: int) -> Frame:
    points, span = target.points[k], _span(target.points[k])
    window = _window(points[[BROW_LEFT, BROW_RIGHT, MOUTH]], 0.7 * span, target.frames.shape[1])
    shift = craft.wobble[k] * span
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    moved = cv2.warpAffine(driven.frames[k], matrix, driven.frames.shape[2:0:-1])
    face = moved[window].astype(np.float32)
    mask = np.zeros(face.shape[:2], np.float32)
    for point, across, along in ((EYE_LEFT, 0.3, 0.2), (EYE_RIGHT, 0.3, 0.2), (MOUTH, 0.6, 0.36)):
        centre = tuple(map(int, np.round(points[point] - _corner(window))))
        axes = round(across * span), round(along * span)
        cv2.ellipse(mask, centre, axes, 0.0, 0.0, 360.0, 1.0, cv2.FILLED)
    mask = _feather(mask, 0.7 * craft.feather * span)
    return _blend(target.frames[k], window, _lose_detail(face, craft.detail) + craft.tint, mask)


def _span(points: Points) -> float:
    """The distance of the eyes, pixels."""
    return float(np.linalg.norm(points[EYE_RIGHT] - points[EYE_LEFT]))


def _window(points: Points, margin: float, size: int) -> tuple[slice, slice]:
    """Rows and columns of the box about `points`, `margin` pixels wider, inside the picture."""
    low = np.clip(np.floor(points.min(0) - margin), 0, size - 2).astype(int)
    high = np.clip(np.ceil(points.max(0) + margin), low + 2, size).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def _corner(window: tuple[slice, slice]) -> Points:
    return np.array([window[1].start, window[0].start], np.float32)


def _hull(points: Points, shape: tuple[int, ...], feather: float) -> Plane:
    """A soft mask, 0..1, over the convex hull of `points` and a little below the mouth."""
    low = points[-1] + 0.45 * (points[-1] - points[:2].mean(0)) * (0.55, 0.6)
    hull = cv2.convexHull(np.vstack([points, low]).round().astype(np.int32))
    mask = cv2.fillConvexPoly(np.zeros(shape[:2], np.float32), hull, 1.0)
    return _feather(np.asarray(mask, np.float32), feather)


def _feather(mask: Plane, width: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(width, 0.5)), np.float32)


def _match_colour(alien: Picture, face: Picture, mask: Plane, craft: Craft) -> Picture:
    """Bring mean and spread of `alien` under the mask to those of `face`, but not quite."""
    weight = (mask / mask.sum())[..., None]
    mean_alien, mean_face = ((weight * part).sum((0, 1)) for part in (alien, face))
    spread_alien = np.sqrt((weight * (alien - mean_alien) ** 2).sum((0, 1))) + 1
    spread_face = np.sqrt((weight * (face - mean_face) ** 2).sum((0, 1))) + 1
    matched = (alien - mean_alien) * np.clip(spread_face / spread_alien, 0.6, 1.6) + mean_face
    return alien + craft.match * (matched - alien) + craft.tint


def _lose_detail(face: Picture, share: float) -> Picture:
    """What a generator of lower resolution leaves of `face`."""
    height, width = face.shape[:2]
    small = max(2, round(width * share)), max(2, round(height * share))
    shrunk = cv2.resize(face, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR))


def _blend(frame: Frame, window: tuple[slice, slice], face: Picture, mask: Plane) -> Frame:
    out = frame.copy()
    under = out[window].astype(np.float32)
    # Rounded: cutting off would darken every pixel that the mask's far tail touches.
    blended = np.rint(under + mask[..., None] * (face - under))
    out[window] = np.clip(blended, 0, 255).astype(np.uint8)
    return out
