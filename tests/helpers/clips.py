"""Real video files for tests, written with the codecs that come with PyAV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.helpers.heads import background, draw_head, paste

TIME_BASE = Fraction(1, 90000)


def write_clip(
    path: Path | str,
    pictures: Iterable[np.ndarray],
    *,
    fps: int = 25,
    codec: str = "libx264",
    times_s: Sequence[float] | None = None,
    rotation: int = 0,
    options: dict[str, str] | None = None,
    container: str | None = None,
    container_options: dict[str, str] | None = None,
    **settings: object,
) -> Path:
    """Write `pictures` (uint8 RGB, one size) to `path`, at `fps` or shown at `times_s`.

    Args:
        rotation: of the display matrix, degrees anticlockwise.
        options: of the codec, such as {"bf": "3"}.
        container_options: of the container, such as {"movflags": "faststart"}.
        settings: attributes of the codec context, such as gop_size.
    """
    pictures = iter(pictures)
    first = next(pictures)
    with av.open(str(path), "w", format=container, options=container_options or {}) as out:
        stream = out.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p" if min(first.shape[:2]) > 1 else "yuv444p"
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        if times_s is not None:
            stream.codec_context.time_base = TIME_BASE
        if rotation:
            stream.set_display_rotation(rotation)
        for i, picture in enumerate([first, *pictures]):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = i if times_s is None else round(times_s[i] / TIME_BASE)
            frame.time_base = Fraction(1, fps) if times_s is None else TIME_BASE
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return Path(path)


def moving_noise(n: int, width: int = 128, height: int = 96, seed: int = 0) -> list[np.ndarray]:
    """`n` pictures of a drifting texture, each different from every other."""
    wide = background(width + n, height + n, seed)
    return [wide[i : i + height, i : i + width] for i in range(n)]


def talking_head(
    n: int, width: int = 320, height: int = 240, side: int = 160, seed: int = 0
) -> list[np.ndarray]:
    """`n` pictures of a head that moves a little before a still background."""
    still, head = background(width, height, seed), draw_head(seed, side)
    pictures = []
    for i in range(n):
        picture = still.copy()
        x = (width - side) // 2 + round(8 * np.sin(i / 5))
        paste(picture, head, x, (height - side) // 2)
        pictures.append(picture)
    return pictures


def decode_all(path: Path | str) -> list[tuple[float, np.ndarray]]:
    """(seconds from the first, RGB) of every picture, decoded in full: the reference."""
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        frames = list(container.decode(stream))
        start = frames[0].pts
        base = stream.time_base
        return [
            (float((frame.pts - start) * base), frame.to_ndarray(format="rgb24"))
            for frame in frames
        ]
