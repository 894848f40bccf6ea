"""Decoding of picture files to upright 8-bit RGB: the only decoder of pictures in extraction and scoring.

An animated picture (APNG, WebP) given by itself is a video: its frames are sampled by its own frame times,
by the rule of `dfray.faces.sampling`. Pages of a TIFF and the further pictures of a JPEG have no times and
are not frames; the first is read. In a folder each file is one frame.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from dfray import storage
from dfray.faces.decode import Picture
from dfray.faces.png import SIGNATURE, needed_chunks
from dfray.faces.sampling import Sampling, sample
from dfray.faces.sources import MAX_PICTURE_PX, UnreadableSourceError, require_size
from dfray.faces.timeline import counted_timeline, presentation_timeline

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
"""Formats that Pillow may try, whatever the file's name; others have their own programs, or few readers."""
_ANIMATED_FORMATS = ("PNG", "WEBP", "GIF")
_TIME_BASE = Fraction(1, 1_000_000)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Orientation tag (CIPA DC-008, 4.6.4) -> what makes the picture upright."""


def folder_pictures(
    paths: Sequence[str], first_frame: int = 0, on_picture: Callable[[], None] = lambda: None
) -> Iterator[Picture]:
    """Yield the pictures of a folder from `first_frame` on, in order, without times.

    Args:
        on_picture: called before every picture, as a sign of life.

    Raises:
        UnreadableSourceError: there is none.
    """
    if not paths:
        raise UnreadableSourceError("the folder holds no picture")
    for k in range(first_frame, len(paths)):
        on_picture()
        try:
            yield Picture(k, None, read_picture(paths[k]))
        except Exception as error:
            name = storage.printable(paths[k].rpartition("/")[2])
            yield Picture(k, None, None, f"{name} cannot be decoded: {_message(error)}")


def file_pictures(
    file: str | bytes,
    sampling: Sampling,
    first_frame: int = 0,
    on_picture: Callable[[], None] = lambda: None,
) -> Iterator[Picture]:
    """Yield the sampled frames of a picture file from `first_frame` on: one, or those of an animation.

    Args:
        file: the path, or the bytes of the file.
        on_picture: called before every picture, as a sign of life.

    Raises:
        UnreadableSourceError: the file is no picture, or is larger than MAX_PICTURE_PX.
    """
    with open_picture(file) as image:
        if _is_animated(image):
            yield from _animation(file, sampling, first_frame, on_picture)
        elif first_frame == 0:
            on_picture()
            yield _still(image)


def array_pictures(pixels: np.ndarray, first_frame: int = 0) -> Iterator[Picture]:
    """Yield a decoded picture, uint8 (height, width, 3) RGB, as the one frame that it is.

    Raises:
        UnreadableSourceError: it is larger than MAX_PICTURE_PX.
    """
    height, width = pixels.shape[:2]
    require_size(width, height)
    if first_frame == 0:
        yield Picture(0, 0.0, pixels)


def read_picture(file: str | bytes) -> np.ndarray:
    """Return the picture, of an animation the first one, as uint8 (height, width, 3) RGB.

    It is upright as its EXIF tag asks. Grey is repeated, 16 bits are scaled to 8, CMYK is converted, and
    transparent pixels lie on black.

    Raises:
        UnreadableSourceError: the file is no picture, or is larger than MAX_PICTURE_PX.
        OSError: the file is cut off or damaged.
        ValueError: its pixels are of a type that has no range, such as floats.
    """
    with open_picture(file) as image:
        return _upright_rgb(image)


@contextlib.contextmanager
def open_picture(file: str | bytes) -> Iterator[Image.Image]:
    """Yield the picture with its header read and nothing decoded.

    Raises:
        UnreadableSourceError: the file is no picture, or is larger than MAX_PICTURE_PX.
    """
    if isinstance(file, str) and (reason := storage.why_not_regular(file)):
        raise UnreadableSourceError(reason)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(_readable(file), formats=FORMATS)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UnreadableSourceError(f"more than {MAX_PICTURE_PX:,} pixels") from error
    except UnidentifiedImageError as error:
        raise UnreadableSourceError("no picture in a known format") from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises almost anything on damaged files
        raise UnreadableSourceError(f"cannot be opened: {_message(error)}") from error
    with image:
        require_size(image.width, image.height)
        yield image


def _readable(file: str | bytes) -> str | BinaryIO:
    """Return what Pillow opens: of a PNG file only the chunks that are needed."""
    if isinstance(file, str):
        with open(file, "rb") as opened:
            if opened.read(len(SIGNATURE)) != SIGNATURE:
                return file
            opened.seek(0)
            file = opened.read()
    return io.BytesIO(needed_chunks(file) if file.startswith(SIGNATURE) else file)


def _still(image: Image.Image) -> Picture:
    try:
        return Picture(0, 0.0, _upright_rgb(image))
    except Exception as error:  # Pillow raises almost anything on damaged files
        return Picture(0, 0.0, None, f"cannot be decoded: {_message(error)}")


def _is_animated(image: Image.Image) -> bool:
    return image.format in _ANIMATED_FORMATS and getattr(image, "n_frames", 1) > 1


def _animation(
    file: str | bytes, sampling: Sampling, first_frame: int, on_picture: Callable[[], None]
) -> Iterator[Picture]:
    """Yield the sampled frames of an animation, which is decoded twice: the times come with the pixels."""
    with open_picture(file) as image:
        starts, fault = _frame_starts(image, on_picture)
    is_clockless = len(starts) > 1 and starts[-1] == 0
    timed = None if is_clockless else presentation_timeline(starts, _TIME_BASE)
    times = timed or counted_timeline(len(starts))
    samples = sample(times, sampling)
    numbers = samples.pictures.tolist()
    with open_picture(file) as image:
        frames, number = _frames(image, on_picture), -1
        pixels: np.ndarray | None = None
        for k in range(first_frame, len(numbers)):
            while number < numbers[k]:
                number, pixels = next(frames), None
            if pixels is None:
                pixels = _upright_rgb(image)
            time_s, remark = times.seconds(numbers[k]), samples.shortened.get(numbers[k])
            yield Picture(k, time_s, pixels, remark)
    if fault and first_frame <= len(numbers):
        yield Picture(len(numbers), None, None, fault)


def _frame_starts(
    image: Image.Image, on_picture: Callable[[], None]
) -> tuple[list[int], str | None]:
    """Return when each frame begins, in microseconds, and why the file ends early, if it does."""
    starts: list[int] = []
    end, fault = 0, None
    try:
        for _ in _frames(image, on_picture):
            starts.append(end)
            end += round(float(image.info.get("duration") or 0) * 1000)  # of milliseconds
    except Exception as error:
        fault = f"the file breaks off: {_message(error)}"
    if not starts:
        raise UnreadableSourceError(fault or "has no frame")
    return starts, fault


def _frames(image: Image.Image, on_picture: Callable[[], None]) -> Iterator[int]:
    """Load one frame of an animation after the other, and yield its number."""
    # A PNG may begin with a picture for viewers that do not animate; it is no frame.
    skipped = 1 if getattr(image, "default_image", False) else 0
    for number in range(getattr(image, "n_frames", 1) - skipped):
        on_picture()
        image.seek(number + skipped)
        image.load()
        yield number


def _upright_rgb(image: Image.Image) -> np.ndarray:
    """Return the loaded picture as uint8 (height, width, 3) RGB, upright."""
    turn = _TURNS.get(_orientation(image))
    return np.array(_rgb(image if turn is None else image.transpose(turn)))


def _orientation(image: Image.Image) -> int:
    """Return the orientation tag of EXIF; 1, upright, if there is none, or if EXIF is damaged."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # Pillow raises almost anything on damaged EXIF
        return 1
    return orientation if isinstance(orientation, int) else 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError(f"pixels of {values.min()}..{values.max()}, not of 16 bits")
        return Image.fromarray((values / 257).round().astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("pixels of floating point")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, rgba).convert("RGB")
    return image.convert("RGB")


def _message(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
