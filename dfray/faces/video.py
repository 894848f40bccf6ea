"""Faces of one video: sampled pictures, through the detector, to crops.

`VideoExtractor` works in this process; `dfray.faces.supervise` runs it in a child that may die.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from dfray.config import FacesSection
from dfray.faces.align import Alignment
from dfray.faces.crop import crop_square, cut, shrunk
from dfray.faces.picture_hash import HASHED_FRAMES, perceptual_hash
from dfray.faces.properties import OnStream, StreamProperties
from dfray.faces.sampling import sampling_of
from dfray.faces.sources import PictureFile, PictureFolder, PixelArray, Source, VideoFile

if TYPE_CHECKING:
    from dfray.faces.decode import Picture
    from dfray.faces.detect import SearchResult, SmallFaces
    from dfray.faces.face_detector import Detection

BLOCK_FRAMES = 20
"""Sampled frames that are searched together: the first is looked at for hints of small faces, and a face
confirms only those after it in its block. An extraction that resumes repeats a block: it detects the same."""

Status = Literal["ok", "no_face", "unreadable", "crashed", "timed_out"]


@dataclass(frozen=True)
class Face:
    """One face of a frame.

    Attributes:
        face_index: rank in its frame, 0 the largest.
        score: the detector's confidence, 0..1; 1 for a ready-made crop.
        box: x, y, w, h of the detection, px of the upright frame; it may reach outside.
        keypoints: 6 x (x, y), px: right eye, left eye, nose tip, mouth, right and left ear;
            NaN for a ready-made crop.
        crop: x, y, side of the square cut out, px; of an aligned face the upright one about its middle.
        image: the crop, uint8 (size_px, size_px, 3) RGB.
        landmarks: float32 (468, 2), px of `image`; none if they were not asked for or not found.
    """

    face_index: int
    score: float
    box: tuple[float, float, float, float]
    keypoints: tuple[float, ...]
    crop: tuple[int, int, int]
    image: np.ndarray = field(repr=False)
    landmarks: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Frame:
    """The outcome of one sampled frame.

    Attributes:
        frame_index: k of the sample, at a rate due at t0 + k / rate_fps.
        time_s: presentation time of the picture from t0, in seconds; none if not known.
        outcome: faces, no_face or decode_error.
        reason: why the frame could not be decoded, or what is amiss with its time.
        width, height: of the upright frame, px; 0 if it could not be decoded.
        faces: the largest first.
        n_doubtful: detections that were refused as doubtful.
        picture_hash: pHash of the picture, of HASHED_FRAMES; none of others, and of flat pictures.
        thumbnail: the picture shrunk, uint8 (h, w, 3) RGB, of a frame with a face; none if not asked for.
    """

    frame_index: int
    time_s: float | None
    outcome: Literal["faces", "no_face", "decode_error"]
    reason: str | None = None
    width: int = 0
    height: int = 0
    faces: list[Face] = field(default_factory=list)
    n_doubtful: int = 0
    picture_hash: int | None = None
    thumbnail: np.ndarray | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class VideoEnd:
    """The outcome of a whole video.

    Attributes:
        status: ok (a face was found), no_face, unreadable (no frame could be decoded), crashed or
            timed_out (on every attempt).
        reason: why it is not ok, or what is amiss with some of its frames.
        attempts: how often it was tried.
        cpu_s: CPU seconds spent on it, all attempts together.
        stream: what the file states about its pictures.
        digest: of a local video's content, if it could be read.
    """

    status: Status
    reason: str | None
    attempts: int
    cpu_s: float
    stream: StreamProperties = field(default_factory=StreamProperties)
    digest: str | None = None


class VideoExtractor:
    """Extracts in this process, one source after the other; close it after use.

    Raises:
        ModelFileError: a model file is missing, not the expected one, or cannot be loaded.
    """

    def __init__(self, settings: FacesSection) -> None:
        from dfray.faces.detect import FaceFinder
        from dfray.faces.landmarks import LandmarkFinder

        self._settings = settings
        landmarks = None
        if settings.landmarks or settings.doubt_score or settings.align != "none":
            landmarks = LandmarkFinder(settings.detector_model)
        self._finder = FaceFinder(settings, landmarks)
        self._landmarks = landmarks

    def extract(
        self,
        source: Source,
        first_frame: int = 0,
        on_picture: Callable[[], None] = lambda: None,
        on_stream: OnStream = lambda _: None,
        thumbnail_px: int | None = None,
    ) -> Iterator[Frame]:
        """Yield the sampled frames of `source` from `first_frame` on, in order, as they are found.

        They are those of an extraction from the start: the block of `first_frame` is searched whole.

        Args:
            on_picture: called for every packet or picture read, as a sign of life.
            on_stream: called with the properties of a video when they are read, and again at its end.
            thumbnail_px: longer side of the thumbnails of frames with a face; none: no thumbnails.

        Raises:
            UnreadableSourceError: nothing in it can be decoded, or its pictures are too large.
        """
        start = block_start(first_frame)
        pictures = _sampled(source, self._settings, start, on_picture, on_stream)
        are_faces = isinstance(source, PictureFolder) and source.are_faces
        search = self._uncut_face if are_faces else self._searches()
        frames = _frames(pictures, search, thumbnail_px)
        yield from (frame for frame in frames if frame.frame_index >= first_frame)

    def close(self) -> None:
        self._finder.close()

    def _searches(self) -> Search:
        """Return a function that searches one picture of a video after the other.

        A search for small faces takes many times as long as one look, and most videos show one large
        face: so all pictures of a block are searched if its first one hints at small faces, else none.
        """
        from dfray.faces.detect import any_small

        has_small = False
        before: list[Detection] = []

        def search(image: np.ndarray, is_first: bool) -> Frame:
            nonlocal has_small, before
            small: SmallFaces = "hint" if is_first else "search" if has_small else "skip"
            if self._settings.keep == "largest":
                small = "skip"
            result = self._finder.find(image, small, [] if is_first else before)
            before = result.faces
            if is_first:
                has_small = any_small(result.faces, image)
            return self._frame(image, result)

        return search

    def _uncut_face(self, image: np.ndarray, _: bool) -> Frame:
        """Return the frame of a ready-made crop: its face is the largest square in the middle."""
        height, width = image.shape[:2]
        box = (0.0, 0.0, float(width), float(height))
        square = crop_square(box, width, height, margin_ratio=1.0)
        crop = cut(image, square, self._settings.size_px)
        face = Face(0, 1.0, box, (float("nan"),) * 12, square, crop)
        return Frame(-1, None, "faces", None, width, height, [face])

    def _frame(self, image: np.ndarray, result: SearchResult) -> Frame:
        height, width = image.shape[:2]
        found = result.faces[: 1 if self._settings.keep == "largest" else None]
        faces = [self._face(image, rank, detection) for rank, detection in enumerate(found)]
        outcome: Literal["faces", "no_face"] = "faces" if faces else "no_face"
        return Frame(-1, None, outcome, None, width, height, faces, result.n_doubtful)

    def _face(self, image: np.ndarray, rank: int, detection: Detection) -> Face:
        settings, mesh = self._settings, None
        if self._landmarks and (settings.landmarks or settings.align != "none"):
            mesh = self._landmarks.find(image, detection)
        if settings.align == "five_points":
            alignment = Alignment.of(detection, mesh, settings.size_px, settings.margin_ratio)
            square, crop, place = alignment.square(), alignment.cut(image), alignment.place
        else:
            height, width = image.shape[:2]
            square = crop_square(detection.box, width, height, settings.margin_ratio)
            crop = cut(image, square, settings.size_px)
            place = partial(_in_square, square=square, size_px=settings.size_px)
        points = place(mesh).astype(np.float32) if settings.landmarks and mesh is not None else None
        return Face(rank, detection.score, detection.box, detection.keypoints, square, crop, points)


def _in_square(points: np.ndarray, square: tuple[int, int, int], size_px: int) -> np.ndarray:
    """Return points of the picture, (N, 2) px, in px of the crop of an upright square."""
    placed: np.ndarray = (points - square[:2]) * (size_px / square[2])
    return placed


Search = Callable[[np.ndarray, bool], Frame]
"""Search of a picture, given whether it is the first of its block."""


def _sampled(
    source: Source,
    settings: FacesSection,
    first_frame: int,
    on_picture: Callable[[], None],
    on_stream: OnStream,
) -> Iterator[Picture]:
    """Return the sampled pictures of `source`."""
    from dfray.faces.decode import sampled_pictures
    from dfray.faces.pictures import array_pictures, file_pictures, folder_pictures

    sampling, uses_damaged = sampling_of(settings), settings.damaged_pictures == "use"
    match source:
        case VideoFile(path):
            return sampled_pictures(
                path, sampling, first_frame, on_picture, on_stream, uses_damaged
            )
        case PictureFile(file):
            return file_pictures(file, sampling, first_frame, on_picture)
        case PixelArray(pixels):
            return array_pictures(pixels, first_frame)
        case PictureFolder(paths):
            return folder_pictures(paths, first_frame, on_picture)


def block_start(frame_index: int) -> int:
    """Return the first frame of the block of a frame."""
    return frame_index - frame_index % BLOCK_FRAMES


def _frames(
    pictures: Iterator[Picture], search: Search, thumbnail_px: int | None
) -> Iterator[Frame]:
    """Yield the frame of each picture; a still picture, which comes again, is searched once in a block."""
    last = Frame(-1, None, "no_face")
    last_image, block = None, -1
    for picture in pictures:
        k, time_s = picture.frame_index, picture.time_s
        if picture.image is None:
            yield Frame(k, time_s, "decode_error", picture.reason)
            continue
        is_first = block_start(k) != block
        if is_first or picture.image is not last_image:
            last, last_image, block = search(picture.image, is_first), picture.image, block_start(k)
            if thumbnail_px and last.faces:
                last = replace(last, thumbnail=shrunk(picture.image, thumbnail_px))
        bits = perceptual_hash(picture.image) if k in HASHED_FRAMES else None
        yield replace(last, frame_index=k, time_s=time_s, reason=picture.reason, picture_hash=bits)
