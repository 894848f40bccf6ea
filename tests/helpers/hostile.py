"""Damaged files, drawn anew each time: originals in many formats, and random damage to their bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers.clips import talking_head, write_clip

_CLIPS = {
    "h264.mp4": {},
    "h264.mkv": {},
    "h264.ts": {},
    "h264.flv": {},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "vp8.webm": {"codec": "libvpx"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "mpeg2.mpg": {"codec": "mpeg2video"},
    "mpeg2.mxf": {"codec": "mpeg2video"},
    "msmpeg4.wmv": {"codec": "msmpeg4"},
    "vp8.ogv": {"codec": "libvpx", "container": "ogg"},
}
_PICTURES = {
    "rgb.png": ("PNG", {}),
    "rgb.jpg": ("JPEG", {"quality": 90}),
    "rgb.webp": ("WEBP", {}),
    "rgb.bmp": ("BMP", {}),
    "lzw.tif": ("TIFF", {"compression": "tiff_lzw"}),
    "jpeg.tif": ("TIFF", {"compression": "jpeg"}),
}


def originals(folder: Path) -> dict[str, bytes]:
    """Return name -> content of a sound file of each format; clips go by way of `folder`."""
    pictures = talking_head(26)
    found = {}
    for name, options in _CLIPS.items():
        found[name] = write_clip(folder / name, pictures, **options).read_bytes()  # type: ignore[arg-type]
    for name, (form, options) in _PICTURES.items():
        found[name] = _saved(form, pictures[:1], options)
    for name, form in (("animated.png", "PNG"), ("animated.webp", "WEBP")):
        found[name] = _saved(form, pictures[:4], {"duration": [500] * 4})
    return found


def _saved(form: str, pictures: list[np.ndarray], options: dict[str, object]) -> bytes:
    first, *rest = map(Image.fromarray, pictures)
    buffer = io.BytesIO()
    more = {"save_all": True, "append_images": rest} if rest else {}
    first.save(buffer, form, **more, **options)
    return buffer.getvalue()


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Return the bytes with one to three random damages."""
    for _ in range(rng.integers(1, 4)):
        damage = _DAMAGES[rng.integers(len(_DAMAGES))]
        data = damage(data, rng) or data
    return data


def _span(data: bytes, rng: np.random.Generator) -> slice:
    """Return a random range, most often near the beginning, where the headers are."""
    first = int(len(data) * rng.random() ** rng.integers(1, 5))
    return slice(first, first + int(rng.integers(1, max(2, len(data) // 8))))


def _flip(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.integers(1, 40)):
        changed[_span(data, rng).start % len(data)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _overwrite(data: bytes, rng: np.random.Generator) -> bytes:
    span = _span(data, rng)
    return data[: span.start] + rng.bytes(span.stop - span.start) + data[span.stop :]


def _extreme(data: bytes, rng: np.random.Generator) -> bytes:
    """A size or a count that is the smallest or the largest."""
    values = (b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\x01")
    first = _span(data, rng).start
    return data[:first] + values[rng.integers(len(values))] + data[first + 4 :]


def _cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(1, len(data) + 1))]


def _remove(data: bytes, rng: np.random.Generator) -> bytes:
    span = _span(data, rng)
    return data[: span.start] + data[span.stop :]


def _repeat(data: bytes, rng: np.random.Generator) -> bytes:
    span = _span(data, rng)
    return data[: span.stop] + data[span] + data[span.stop :]


_DAMAGES: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (
    _flip,
    _overwrite,
    _extreme,
    _cut,
    _remove,
    _repeat,
)


def odd_names() -> Iterator[str]:
    """Yield names that are marks, formulas, markup or escape sequences somewhere."""
    yield from (
        "[z]",
        "[red]a",
        "=1+1",
        "a|b",
        "<i>a",
        "esc\x1b[2Jape",
        "a\u202eb",
        "two\nlines",
        ":bug:",
    )
