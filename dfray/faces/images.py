"""Videos that come as pictures in files of their own: a folder of frames, or of ready-made face crops.

Each picture is one sampled frame, whatever the time between them; there is no clock. Pictures are taken in
the order of the numbers in their names (2.png before 10.png).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dfray import storage
from dfray.datasets.files import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from PIL.Image import Image

    from dfray.faces.decode import Picture


@dataclass(frozen=True)
class Images:
    """A video in pictures.

    Attributes:
        paths: of the local files, in order.
        are_faces: each is a face that was cut out already: no detector is run.
    """

    paths: tuple[str, ...]
    are_faces: bool


@contextlib.contextmanager
def local_video(uri: str, kind: str, stride: int) -> Iterator[str | Images]:
    """The video at `uri` on this machine: its path, or its pictures.

    Args:
        kind: video, frames or faces.
        stride: of a folder every so many-th picture is taken, and only those are fetched.

    Raises:
        StorageError: it cannot be read.
    """
    if kind == "video":
        with storage.local_copy(uri) as path:
            yield path
        return
    found = [one for one in storage.list_files(uri) if one.lower().endswith(IMAGE_SUFFIXES)]
    with storage.local_copies(sorted(found, key=_numbers)[::stride]) as paths:
        yield Images(tuple(paths), are_faces=kind == "faces")


def pictures_of(
    images: Images, first_frame: int = 0, on_picture: Callable[[], None] = lambda: None
) -> Iterator[Picture]:
    """The pictures from `first_frame` on, in order, without times.

    Raises:
        UnreadableVideoError: there is none.
    """
    from dfray.faces.decode import Picture, UnreadableVideoError  # PyAV, which only the child needs

    if not images.paths:
        raise UnreadableVideoError("the folder holds no picture")
    for k, path in enumerate(images.paths):
        if k < first_frame:
            continue
        on_picture()
        try:
            yield Picture(k, None, read_image(path))
        except Exception as error:
            name = path.rpartition("/")[2]
            yield Picture(k, None, None, f"{name} cannot be decoded: {error}")


def read_image(path: str) -> np.ndarray:
    """The picture as uint8 (height, width, 3) RGB, upright as its EXIF tag asks.

    Grey is repeated, 16 bits are scaled to 8, CMYK is converted, and what is transparent lies on black.

    Raises:
        OSError: the file is no picture, or is cut off.
        ValueError: its pixels are of a type that has no range, such as floats.
    """
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        return np.array(_rgb(ImageOps.exif_transpose(opened)))


def _rgb(image: Image) -> Image:
    from PIL import Image as Pillow

    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError(f"pixels of {values.min()}..{values.max()}, not of 16 bits")
        return Pillow.fromarray((values / 257).round().astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("pixels of floating point")
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        return Pillow.alpha_composite(Pillow.new("RGBA", seen.size, (0, 0, 0, 255)), seen).convert(
            "RGB"
        )
    return image.convert("RGB")


def _numbers(uri: str) -> list[tuple[int, str]]:
    """A key that puts names in the order of the numbers in them."""
    name = uri.rpartition("/")[2]
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]
