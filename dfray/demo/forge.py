"""Face swap and reenactment, made frame by frame from a real clip.

Both follow the classical pipeline of their category: align by a tracker's points, lose some detail
as a generator does, match the colours imperfectly, and blend with a soft mask that follows the
motion. The quality of each step differs from clip to clip.
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

ANCHORS = [EYE_LEFT, EYE_RIGHT, MOUTH]  # the points by which two faces are aligned
INNER_FACE = [BROW_LEFT, BROW_RIGHT, CHEEK_LEFT, CHEEK_RIGHT, MOUTH]

Frame = NDArray[np.uint8]
Points = NDArray[np.floating]


@dataclass(frozen=True)
class ForgeryParameters:
    """The quality of each step of one fake.

    detail: share of the face's resolution that survives. tint: RGB error of the colour match,
    0..255. match: 0..1, how far the donor's colours are brought to the target's. feather: width
    of the mask's edge over the distance of the eyes. wobble (T, 2): tracking error, the same unit.
    """

    detail: float
    tint: NDArray[np.floating]
    match: float
    feather: float
    wobble: NDArray[np.float64]


def draw_parameters(rng: np.random.Generator, frames: int) -> ForgeryParameters:
    return ForgeryParameters(
        detail=rng.uniform(0.32, 0.50),
        tint=rng.normal(0, 6, 3).astype(np.float32),
        match=rng.uniform(0.75, 0.95),
        feather=rng.uniform(0.10, 0.22),
        wobble=rng.normal(0, 0.016, (frames, 2)),
    )


def swap(target: Clip, donor: Clip, parameters: ForgeryParameters) -> NDArray[np.uint8]:
    """Return an FS clip, the donor's inner face in the target's frames: (T, H, W, 3) uint8 RGB."""
    frames = [_swap_frame(target, donor, parameters, k) for k in range(len(target.frames))]
    return np.stack(frames)


def reenact(target: Clip, driven: Clip, parameters: ForgeryParameters) -> NDArray[np.uint8]:
    """Return an RE clip, the target with mouth and eyes of `driven`: (T, H, W, 3) uint8 RGB.

    `driven` is the same person with the same motion and another expression.
    """
    frames = [_reenact_frame(target, driven, parameters, k) for k in range(len(target.frames))]
    return np.stack(frames)


def _swap_frame(target: Clip, donor: Clip, parameters: ForgeryParameters, k: int) -> Frame:
    points, span = target.points[k], _span(target.points[k])
    window = _window(points[INNER_FACE], 0.75 * span, target.frames.shape[1])
    aim = points[ANCHORS] + (parameters.wobble[k] * span).astype(np.float32) - _corner(window)
    matrix = cv2.getAffineTransform(donor.points[k][ANCHORS], aim.astype(np.float32))
    face = target.frames[k][window].astype(np.float32)
    donor_face = cv2.warpAffine(
        donor.frames[k], matrix, face.shape[1::-1], borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32)
    mask = _hull(points[INNER_FACE] - _corner(window), face.shape[:2], parameters.feather * span)
    donor_face = _match_colour(donor_face, face, mask, parameters)
    return _blend(target.frames[k], window, _lose_detail(donor_face, parameters.detail), mask)


def _reenact_frame(target: Clip, driven: Clip, parameters: ForgeryParameters, k: int) -> Frame:
    points, span = target.points[k], _span(target.points[k])
    window = _window(points[[BROW_LEFT, BROW_RIGHT, MOUTH]], 0.7 * span, target.frames.shape[1])
    shift = parameters.wobble[k] * span
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    moved = cv2.warpAffine(driven.frames[k], matrix, driven.frames.shape[2:0:-1])
    face = moved[window].astype(np.float32)
    mask = np.zeros(face.shape[:2], np.float32)
    for point, across, along in ((EYE_LEFT, 0.3, 0.2), (EYE_RIGHT, 0.3, 0.2), (MOUTH, 0.6, 0.36)):
        centre = tuple(map(int, np.round(points[point] - _corner(window))))
        axes = round(across * span), round(along * span)
        cv2.ellipse(mask, centre, axes, 0.0, 0.0, 360.0, 1.0, cv2.FILLED)
    mask = _feather(mask, 0.7 * parameters.feather * span)
    return _blend(
        target.frames[k], window, _lose_detail(face, parameters.detail) + parameters.tint, mask
    )


def _span(points: Points) -> float:
    """Return the distance of the eyes, pixels."""
    return float(np.linalg.norm(points[EYE_RIGHT] - points[EYE_LEFT]))


def _window(points: Points, margin: float, size: int) -> tuple[slice, slice]:
    """Return rows and columns of the box about `points`, `margin` pixels wider, inside the picture."""
    low = np.clip(np.floor(points.min(0) - margin), 0, size - 2).astype(int)
    high = np.clip(np.ceil(points.max(0) + margin), low + 2, size).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def _corner(window: tuple[slice, slice]) -> Points:
    return np.array([window[1].start, window[0].start], np.float32)


def _hull(points: Points, shape: tuple[int, ...], feather: float) -> Plane:
    """Return a soft mask, 0..1, over the convex hull of `points` and a little below the mouth."""
    low = points[-1] + 0.45 * (points[-1] - points[:2].mean(0)) * (0.55, 0.6)
    hull = cv2.convexHull(np.vstack([points, low]).round().astype(np.int32))
    mask = cv2.fillConvexPoly(np.zeros(shape[:2], np.float32), hull, 1.0)
    return _feather(np.asarray(mask, np.float32), feather)


def _feather(mask: Plane, width: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(width, 0.5)), np.float32)


def _match_colour(
    donor_face: Picture, face: Picture, mask: Plane, parameters: ForgeryParameters
) -> Picture:
    """Bring mean and deviation of `donor_face` under the mask near to those of `face`, imperfectly."""
    weight = (mask / mask.sum())[..., None]
    mean_donor, mean_face = ((weight * picture).sum((0, 1)) for picture in (donor_face, face))
    spread_donor = np.sqrt((weight * (donor_face - mean_donor) ** 2).sum((0, 1))) + 1
    spread_face = np.sqrt((weight * (face - mean_face) ** 2).sum((0, 1))) + 1
    matched = (donor_face - mean_donor) * np.clip(spread_face / spread_donor, 0.6, 1.6) + mean_face
    return np.asarray(donor_face + parameters.match * (matched - donor_face) + parameters.tint)


def _lose_detail(face: Picture, share: float) -> Picture:
    """Return `face` with the detail of a generator of lower resolution."""
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
