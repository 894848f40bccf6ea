"""The ffmpeg program: a route to and from video files that shares nothing with PyAV."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from tests.helpers.numbered import number_of

_SIZE = (160, 96)


def run_ffmpeg(*arguments: str | Path, data: bytes | None = None) -> bytes:
    """Run the program with `data` as its input, and return its output."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", "-threads", "1"]
    if data is not None:
        command.remove("-nostdin")
    done = subprocess.run(
        [*command, *map(str, arguments)], input=data, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def encode(
    target: Path, pictures: Iterable[np.ndarray], fps: str, arguments: Iterable[str]
) -> Path:
    """Encode `pictures` (uint8 RGB, one size) at `fps` as the program's `arguments` say."""
    arrays = list(pictures)
    height, width = arrays[0].shape[:2]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", fps, "-i", "-"]
    run_ffmpeg(*raw, *arguments, target, data=b"".join(map(np.ndarray.tobytes, arrays)))
    return target


def shown_numbers(path: Path) -> list[int | None]:
    """Return the numbers of the pictures that a full decode of the file shows, in order."""
    width, height = _SIZE
    scale = ["-vf", f"scale={width}:{height}", "-fps_mode", "passthrough"]
    raw = run_ffmpeg(
        "-i", path, "-map", "0:v:0", *scale, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"
    )
    pictures = np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
    return [number_of(picture) for picture in pictures]
