"""Encoder of every clip, real or fake: film grain, then H.264 at one constant bit rate.

The rate control buffers a single frame and pads with filler (nal-hrd=cbr), so every picture has the same
number of bytes whatever its content: neither file size nor packet sizes depend on the label. Frame types
are fixed (no B-frames, no scene cuts): chosen by content, they would distribute the payload under the
filler a little less evenly in real clips than in fakes, whose faces are smoother.
With one thread and no wall-clock time stamps the same frames give the same bytes.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

BITS_PER_PIXEL = 0.5


def add_grain(
    frames: NDArray[np.uint8], rng: np.random.Generator, strength: float
) -> NDArray[np.uint8]:
    """Return `frames` (T, H, W, 3) with grey Gaussian noise of standard deviation `strength` (0..255)."""
    noise = strength * rng.standard_normal((*frames.shape[:3], 1), dtype=np.float32)
    return np.clip(np.rint(frames + noise), 0, 255).astype(np.uint8)


def write_clip(path: str, frames: NDArray[np.uint8], fps: int) -> None:
    """Write `frames` (T, H, W, 3) uint8 RGB to the MP4 file `path`."""
    import av

    height, width = frames.shape[1:3]
    with av.open(path, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=fps, options=_options(height, width, fps))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, fps)
        for k, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = k
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _options(height: int, width: int, fps: int) -> dict[str, str]:
    bits = round(BITS_PER_PIXEL * height * width)
    rate = {"b": bits * fps, "maxrate": bits * fps, "bufsize": bits}
    return {
        "preset": "veryfast",
        "x264-params": "nal-hrd=cbr:force-cfr=1:threads=1:bframes=0:scenecut=0",
        **{name: str(value) for name, value in rate.items()},
    }
