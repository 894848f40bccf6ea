"""Small real video files, made where a test needs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_video(path: Path, *, frames: int, fps: int = 5, size: int = 64) -> Path:
    """H.264 of a moving gradient, `frames` long."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.arange(size, dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            picture = np.stack([np.tile(np.roll(ramp, number), (size, 1))] * 3, axis=-1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path
