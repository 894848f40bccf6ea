"""What a registered model does: pictures or videos in, one row of scores for each out.

Videos are decoded in a child process, as in extraction, so that a broken file costs its row and not the
server. A picture or video without a face has no score: it is told, never guessed.
"""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dfray import storage
from dfray.config import FacesSection
from dfray.datasets.probe import probe
from dfray.errors import StorageError, UserError
from dfray.evaluation.aggregate import highest_person
from dfray.evaluation.tracks import track_faces
from dfray.faces.crop import crop_square, cut
from dfray.faces.detect import FaceFinder
from dfray.faces.model_file import FILE_NAMES, Kind
from dfray.faces.supervise import SupervisedExtractor
from dfray.faces.video import Frame
from dfray.models.bundle import Bundle

if TYPE_CHECKING:
    import pandas as pd

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
COLUMNS = {
    "input": ("string", False),
    "outcome": ("string", False),
    "reason": ("string", True),
    "fake_probability": ("double", True),
    "label": ("string", True),
    "n_frames": ("long", False),
    "n_faces": ("long", False),
    "video_s": ("double", True),
    "work_s": ("double", False),
}
"""What `predict` returns: column -> MLflow type, and whether a value may be missing."""

_Place = tuple[int, tuple[float, float, float, float]]
"""The index of a face's frame in its video, and its box, x, y, w, h in px."""

_BATCH = 64  # crops scored together; more are not kept in memory


@dataclass
class _Row:
    """One row of what `predict` returns, while it is being filled."""

    input: str
    outcome: str = "unreadable"
    reason: str | None = None
    fake_probability: float | None = None
    label: str | None = None
    n_frames: int = 0
    n_faces: int = 0
    video_s: float | None = None
    work_s: float = 0.0


class PictureScorer:
    """A bundle with the face detector that its faces were found with; close it after use."""

    def __init__(self, bundle_dir: str, detector_dir: str) -> None:
        self.bundle = Bundle.load(bundle_dir)
        settings = FacesSection.model_validate(self.bundle.faces)
        self.settings = settings.model_copy(
            update={"detector_model": _carried_model(settings, detector_dir), "landmarks": False}
        )
        self._finder: FaceFinder | None = None
        self._extractor: SupervisedExtractor | None = None

    def predict(self, model_input: Any) -> pd.DataFrame:
        """Score each input, in order.

        Args:
            model_input: one or a list of: the path or URI of a video or a picture (by its suffix), a
                picture as uint8 (height, width, 3) RGB, the bytes of a picture file. Or a DataFrame with
                a column `video` (paths, URIs) or `image` (bytes, or base64 of them).

        Returns:
            A DataFrame of `COLUMNS`. `fake_probability` is by the model's video rule over the faces,
            missing where there is none; `outcome` is ok, no_face, unreadable, crashed or timed_out, with
            its `reason`.

        Raises:
            UserError: an input is none of these.
        """
        import pandas as pd

        rows = [self._score(item, number) for number, item in enumerate(_items(model_input))]
        types = {"fake_probability": float, "video_s": float}
        return pd.DataFrame([asdict(row) for row in rows], columns=list(COLUMNS)).astype(types)

    def close(self) -> None:
        """End the child process and MediaPipe, which does not end well by itself."""
        for part in (self._finder, self._extractor):
            if part is not None:
                part.close()
        self._finder = self._extractor = None

    def _score(self, item: Any, number: int) -> _Row:
        row = _Row(str(item) if isinstance(item, str | Path) else f"image {number}")
        places: list[_Place] = []
        if isinstance(item, str | Path) and not row.input.lower().endswith(PICTURE_SUFFIXES):
            # The child is started before the clock is.
            self._extractor = self._extractor or SupervisedExtractor(self.settings)
            crops = self._from_video(row, self._extractor, places)
        else:
            self._finder = self._finder or FaceFinder(self.settings)
            crops = self._from_picture(item, row, self._finder, places)
        started = time.perf_counter()
        predictions = list(self._predictions(crops))
        if predictions:
            scores, looks = (np.concatenate(part) for part in zip(*predictions, strict=True))
            row.n_faces = len(scores)
            row.fake_probability = self._of_video(scores, looks, places)
            row.label = "fake" if row.fake_probability >= self.bundle.threshold else "real"
        row.work_s = time.perf_counter() - started
        return row

    def _of_video(self, scores: np.ndarray, looks: np.ndarray, places: list[_Place]) -> float:
        """One score by the video rule that the model's threshold was chosen under."""
        if self.bundle.decision_rule.video_rule == "mean":
            return float(scores.mean())
        frames, boxes = (np.asarray(part) for part in zip(*places, strict=True))
        return highest_person(scores, track_faces(frames, boxes, looks, self.settings.rate_fps))

    def _from_picture(
        self, item: Any, row: _Row, finder: FaceFinder, places: list[_Place]
    ) -> Iterator[np.ndarray]:
        try:
            named = isinstance(item, str | Path)
            picture = _picture(storage.read_bytes(str(item)) if named else item)
        except (StorageError, OSError) as error:
            row.outcome, row.reason = "unreadable", str(error)
            return
        row.n_frames = 1
        height, width = picture.shape[:2]
        faces = finder.find(picture)
        row.outcome, row.reason = ("ok", None) if faces else ("no_face", "no face in the picture")
        for face in faces:
            places.append((0, face.box))
            square = crop_square(face.box, width, height, self.settings.margin_ratio)
            yield cut(picture, square, self.settings.size_px)

    def _from_video(
        self, row: _Row, extractor: SupervisedExtractor, places: list[_Place]
    ) -> Iterator[np.ndarray]:
        for item in extractor.extract(row.input):
            if isinstance(item, Frame):
                row.n_frames += 1
                for face in item.faces:
                    places.append((item.frame_index, face.box))
                    yield face.image
                continue
            row.outcome, row.reason = item.status, item.reason
            if item.status in ("ok", "no_face"):  # else the header is not to be trusted
                row.video_s = probe(row.input).duration_s

    def _predictions(self, crops: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(fake probabilities, embeddings) of the crops, a batch at a time."""
        waiting: list[np.ndarray] = []
        for crop in crops:
            waiting.append(crop)
            if len(waiting) == _BATCH:
                yield self.bundle.predict(np.stack(waiting))
                waiting = []
        if waiting:
            yield self.bundle.predict(np.stack(waiting))


def _items(model_input: Any) -> list[Any]:
    """One item for each row of the answer."""
    if hasattr(model_input, "columns"):
        return [_cell(row) for row in model_input.to_dict("records")]
    if isinstance(model_input, str | Path | bytes | bytearray) or _is_picture(model_input):
        return [model_input]
    if isinstance(model_input, Iterable):
        return list(model_input)
    raise _wrong_input(model_input)


def _cell(row: dict[Any, Any]) -> Any:
    """The path, or the picture's bytes, in a row of a DataFrame."""
    if isinstance(row.get("video"), str):
        return row["video"]
    image = row.get("image")
    if isinstance(image, str):  # as JSON carries bytes
        return base64.b64decode(image)
    if image is None or image != image:
        raise UserError(
            f"A row with column(s) {', '.join(map(str, row))} has neither `video` nor `image`.",
            "Give a DataFrame with a column `video` (paths) or `image` (bytes of a picture file).",
        )
    return image


def _picture(item: Any) -> np.ndarray:
    """uint8 (height, width, 3) RGB, upright; an OSError if bytes are no picture."""
    if isinstance(item, bytes | bytearray):
        from PIL import Image, ImageOps

        try:
            with Image.open(io.BytesIO(item)) as image:
                return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        except (Image.DecompressionBombError, SyntaxError, ValueError) as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
    picture = np.asarray(item)
    if not _is_picture(picture) or picture.dtype.kind not in "iu":
        raise _wrong_input(item)
    if picture.min() < 0 or picture.max() > 255:
        raise _wrong_input(item)
    return picture.astype(np.uint8)


def _is_picture(value: Any) -> bool:
    shape: tuple[int, ...] = getattr(value, "shape", ())
    return len(shape) == 3 and shape[2] == 3 and min(shape) > 0


def _wrong_input(value: Any) -> UserError:
    told = f"{getattr(value, 'dtype', '')} {getattr(value, 'shape', '')}".strip()
    return UserError(
        f"The model takes no {type(value).__name__} {told}".rstrip() + ".",
        "Give paths, bytes of picture files, or pictures as uint8 (height, width, 3) RGB.",
    )


def _carried_model(settings: FacesSection, detector_dir: str) -> str:
    """The carried face detector, in the form of `faces.detector_model`: its hash is checked again.

    A detector of the user's own goes with the hash that the recipe states for it.
    """
    _, marker, stated = (settings.detector_model or "").partition("#sha256=")
    if not marker:
        return detector_dir
    kind: Kind = "short" if settings.detector == "short" else "full"
    return f"{detector_dir}/{FILE_NAMES[kind]}#sha256={stated}"
