"""Sources of sampled frames: a video file, a picture file, a picture in memory, a folder of pictures.

A file is a picture if `is_picture` says so by its name, and a video otherwise. The extraction of a
corpus and a registered model both read their inputs as one of these sources, so both get the same frames.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from dfray import storage
from dfray.datasets.files import pictures_in
from dfray.datasets.suffixes import is_picture
from dfray.errors import DfrayError

LONG_VIDEO_BYTES = 8 * 2**20
"""Size of a file on s3:// from which on parts of it are fetched; below, requests cost more than bytes."""
MAX_PICTURE_PX = 89_478_485
"""Width times height of the largest picture that is decoded (256 MiB of RGB): Pillow's own limit."""
MAX_FILE_BYTES = 64 * 2**30
"""Size of the largest file that is opened or fetched."""


class UnreadableSourceError(DfrayError):
    """A source that yields no picture at all; the message says why."""


@dataclass(frozen=True)
class VideoFile:
    """A local file that FFmpeg decodes, sampled at `faces.rate_fps`."""

    path: str


@dataclass(frozen=True)
class PartialVideo:
    """A remote video as a local file of its size, into which ranges are copied when they are asked for.

    Attributes:
        path: of the local file.
        n_bytes: its size.
    """

    path: str
    n_bytes: int


@dataclass(frozen=True)
class PictureFile:
    """A picture file given by itself: a video of one frame, or of all its frames if it is animated.

    Attributes:
        file: the local path, or the bytes of the file.
    """

    file: str | bytes = field(repr=False)


@dataclass(frozen=True, eq=False)
class PixelArray:
    """A decoded picture: a video of one frame.

    Attributes:
        pixels: uint8 (height, width, 3) RGB.
    """

    pixels: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class PictureFolder:
    """A video whose frames are picture files, or ready-made face crops. It has no clock.

    Each file is one sampled frame, an animated picture too: its first one.

    Attributes:
        paths: of the local files, in the order of the numbers in their names (2.png before 10.png).
        are_faces: each file is a face that was cut out already: no detector is run.
    """

    paths: tuple[str, ...]
    are_faces: bool


Source = VideoFile | PictureFile | PixelArray | PictureFolder


@dataclass(frozen=True)
class LocalVideo:
    """A video on a disk or a mount of this machine, which may hang when it is looked at.

    Attributes:
        uri, kind, stride: as in VIDEOS.
        max_bytes: size above which a file is not opened.
    """

    uri: str
    kind: str = "video"
    stride: int = 1
    max_bytes: int = MAX_FILE_BYTES

    def source(self) -> Source:
        """Look at the disk, and return the video as a source.

        Raises:
            StorageError: the folder cannot be listed.
            UnreadableSourceError: the file is larger.
        """
        if self.kind == "video":
            path = storage.absolute(self.uri)
            if os.path.isfile(path):
                _require_bytes(os.path.getsize(path), self.max_bytes)
            return file_source(path)
        paths = map(storage.absolute, _sampled(self.uri, self.stride))
        return PictureFolder(tuple(paths), are_faces=self.kind == "faces")

    def digest(self) -> str | None:
        """Return the digest of the file, or of the folder's pictures; None: there is none."""
        return content_digest(self.uri, self.kind)


@contextlib.contextmanager
def local_source(uri: str, kind: str = "video", stride: int = 1) -> Iterator[Source]:
    """Yield the video at `uri` as a source on this machine; remote files are copied for that time.

    Args:
        kind: as in VIDEOS: video (a file), frames or faces (a folder of pictures).
        stride: of a folder every so many-th picture is sampled, and only those are copied.

    Raises:
        StorageError: `uri` cannot be read.
    """
    if not storage.is_remote(uri):
        yield LocalVideo(uri, kind, stride).source()
    elif kind == "video":
        with storage.local_copy(uri) as path:
            yield file_source(path)
    else:
        with storage.local_copies(_sampled(uri, stride)) as paths:
            yield PictureFolder(tuple(paths), are_faces=kind == "faces")


def content_digest(uri: str, kind: str, n_samples: int = storage.SAMPLES) -> str | None:
    """Return the digest of a local video, or of the pictures of a local folder; None: there is none.

    Commands ask a `DigestReader` for it: a disk may hang.

    Args:
        kind: as in VIDEOS.
        n_samples: as in `storage.sample_digest`.
    """
    if storage.is_remote(uri):
        return None
    return storage.sample_digest([uri] if kind == "video" else pictures_in(uri), n_samples)


@contextlib.contextmanager
def served_source(
    uri: str, kind: str = "video", stride: int = 1, max_bytes: int = MAX_FILE_BYTES
) -> Iterator[tuple[Source | PartialVideo | LocalVideo, storage.PartialCopy | None]]:
    """Yield the video at `uri` for a child, and the copy that is served while it reads a PartialVideo.

    Args:
        kind, stride: as in `local_source`.
        max_bytes: size above which a file is neither opened nor fetched.

    Raises:
        StorageError: `uri` cannot be read.
        UnreadableSourceError: the file is larger.
    """
    if not storage.is_remote(uri):
        yield LocalVideo(uri, kind, stride, max_bytes), None
        return
    if kind == "video" and storage.serves_ranges(uri):
        with storage.partial_copy(uri) as copy:
            _require_bytes(copy.n_bytes, max_bytes)
            if copy.n_bytes >= LONG_VIDEO_BYTES and not is_picture(uri):
                yield PartialVideo(copy.path, copy.n_bytes), copy
                return
    with local_source(uri, kind, stride) as source:
        yield source, None


def _sampled(folder: str, stride: int) -> list[str]:
    """Return the URIs of every so many-th picture of a folder, in the order of the numbers in their names."""
    return sorted(pictures_in(folder), key=_natural_order)[::stride]


def file_source(path: str) -> VideoFile | PictureFile:
    """Return the local file at `path` as a picture or a video, by its suffix."""
    return PictureFile(path) if is_picture(path) else VideoFile(path)


def require_size(width: int, height: int) -> None:
    """Raise an UnreadableSourceError if a picture of this size, in px, is too large to be decoded."""
    if width * height > MAX_PICTURE_PX:
        raise UnreadableSourceError(f"more than {MAX_PICTURE_PX:,} pixels")


def _require_bytes(n_bytes: int, most: int) -> None:
    if n_bytes > most:
        raise UnreadableSourceError(f"has {n_bytes:,} bytes, more than {most:,}")


def _natural_order(uri: str) -> list[tuple[int, str]]:
    """Return a sort key that puts names in the order of the numbers in them."""
    pieces = re.split(r"(\d+)", uri.rpartition("/")[2])
    return [(int(piece), "") if piece.isdecimal() else (0, piece) for piece in pieces]
