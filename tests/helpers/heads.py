"""Simple shaded heads, drawn with numpy, that the real face detector takes for faces."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

_SIDE = 256


@lru_cache(maxsize=128)
def draw_head(seed: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A head of its own for each seed.

    Returns:
        (rgb, alpha): uint8 (side, side, 3), and float32 (side, side, 1) in 0..1. The head, hair
        included, fills the height; it is drawn at 256 and shrunk. Read-only.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float32) / (_SIDE / 2) - 1
    skin = np.array([225, 180, 150], np.float32) * rng.uniform(0.65, 1.05)
    hair = np.array([70, 50, 40], np.float32) * rng.uniform(0.3, 1.8)
    width = rng.uniform(0.66, 0.74)

    radius = (x / width) ** 2 + (y / 0.98) ** 2
    light = 0.55 + 0.45 * np.sqrt(np.clip(1 - radius, 0, 1)) - 0.15 * x * rng.uniform(-1, 1)
    rgb = skin * light[..., None]
    alpha = np.clip((1 - radius) * 20, 0, 1)

    def paint(mask: np.ndarray, color: object, strength: float = 1.0) -> None:
        left, top, width, height = cv2.boundingRect((mask > 0).astype(np.uint8))
        box = slice(top, top + height), slice(left, left + width)
        weight = (np.clip(mask[box], 0, 1) * strength)[..., None]
        rgb[box] = rgb[box] * (1 - weight) + np.asarray(color, np.float32) * weight

    def blob(cx: float, cy: float, rx: float, ry: float, edge: float = 6) -> np.ndarray:
        return (1 - ((x - cx) / rx) ** 2 - ((y - cy) / ry) ** 2) * edge

    paint((-0.55 + 0.25 * x**2 - y) * 12, hair)
    paint((np.abs(x) - width * 0.9) * 12 * (y < 0.1), hair)
    for sign in (-1, 1):
        cx = sign * rng.uniform(0.27, 0.3)
        paint(blob(cx, -0.1, 0.2, 0.12, 3), skin * 0.55, 0.6)
        paint(blob(cx, -0.3, 0.17, 0.035), hair * 0.8)
        paint(blob(cx, -0.1, 0.13, 0.065), (240, 240, 240))
        paint(blob(cx, -0.1, 0.06, 0.06), (50, 35, 25))
    paint(blob(0.05, 0.1, 0.05, 0.22, 2), skin * 1.15, 0.5)
    paint(blob(0, 0.25, 0.13, 0.05), skin * 0.55, 0.8)
    paint(blob(0, 0.52, rng.uniform(0.2, 0.27), 0.07), (170, 70, 70))
    paint(blob(0, 0.52, 0.2, 0.015), (90, 30, 30))
    size = (side, side)
    image = cv2.resize(np.clip(rgb, 0, 255).astype(np.uint8), size, interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)[..., None]
    image.flags.writeable = alpha.flags.writeable = False
    return image, alpha


def background(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A smooth, textured picture without a face: uint8 (height, width, 3)."""
    return _background(width, height, seed).copy()


@lru_cache(maxsize=16)
def _background(width: int, height: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(70, 190, (max(2, height // 90), max(2, width // 90), 3)).astype(np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    grain = rng.integers(-8, 9, (height, width, 1))
    return np.clip(smooth + grain, 0, 255).astype(np.uint8)


def paste(picture: np.ndarray, head: tuple[np.ndarray, np.ndarray], x: int, y: int) -> None:
    """Blend a head into `picture` with its upper left corner at (x, y), in place."""
    rgb, alpha = head
    side = rgb.shape[0]
    patch = picture[y : y + side, x : x + side]
    patch[:] = (patch * (1 - alpha) + rgb * alpha).round().astype(np.uint8)


def scatter(
    n_heads: int, side: int, width: int, height: int, seed: int = 0
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """A picture with `n_heads` heads, `side` px high, at random places that do not overlap.

    Returns:
        uint8 (height, width, 3), and the upper left corner of every head.
    """
    rng = np.random.default_rng(seed)
    picture = background(width, height, seed)
    corners: list[tuple[int, int]] = []
    while len(corners) < n_heads:
        x, y = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
        if all(abs(x - a) >= 0.9 * side or abs(y - b) >= side for a, b in corners):
            paste(picture, draw_head(seed * 1000 + len(corners), side), x, y)
            corners.append((x, y))
    return picture, corners


def blobs(seed: int, width: int = 640, height: int = 360) -> np.ndarray:
    """A picture of spotted ellipses, some of which the face detectors take for faces."""
    rng = np.random.default_rng(seed)
    picture = background(width, height, seed).astype(np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for _ in range(rng.integers(2, 5)):
        cx, cy = rng.uniform(100, width - 100), rng.uniform(80, height - 80)
        radius = rng.uniform(25, 90)
        shade = rng.uniform(30, 230, 3)
        across, down = (x - cx) / radius, (y - cy) / radius
        inside = across**2 + (down / rng.uniform(1, 1.4)) ** 2 < 1
        light = 0.6 + 0.4 * np.sqrt(np.clip(1 - (across**2 + (down / 1.4) ** 2), 0, 1))
        picture[inside] = shade * light[inside][:, None]
        for _ in range(rng.integers(1, 5)):
            dx, dy = rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5)
            size = rng.uniform(0.05, 0.3)
            spot = ((across - dx) / size) ** 2
            spot += ((down - dy) / (size * rng.uniform(0.3, 1))) ** 2
            picture[spot < 1] = rng.uniform(0, 255, 3)
    return np.clip(picture, 0, 255).astype(np.uint8)


def dim_tilted_head(seed: int) -> np.ndarray:
    """A head, tilted by 30 to 60 degrees, blurred and dark, in 640 x 480: some score below 0.7."""
    rng = np.random.default_rng(seed)
    picture = background(640, 480, seed)
    paste(picture, draw_head(seed, 200), 220, 140)
    tilt = rng.choice([-1, 1]) * rng.uniform(30, 60)
    turn = cv2.getRotationMatrix2D((320, 240), tilt, 1)
    picture = cv2.warpAffine(picture, turn, (640, 480), borderMode=cv2.BORDER_REFLECT)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(1, 5))
    return (picture * rng.uniform(0.15, 0.6)).astype(np.uint8)


def head_pictures(count: int, side: int) -> np.ndarray:
    """Heads that fill their crops, each before a background of its own: uint8 (count, side, side, 3)."""
    pictures = []
    for seed in range(count):
        picture = background(side, side, seed)
        paste(picture, draw_head(seed, side), 0, 0)
        pictures.append(picture)
    return np.stack(pictures)


HEAD_OVAL = {"centre": (0.5, 0.55), "half": (0.3, 0.36)}
"""Arguments of `oval_landmarks` for such a crop."""
