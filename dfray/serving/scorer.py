"""Inference of a registered model: pictures or videos in, one row of scores for each out.

All inputs go through the extractor that found the faces of the training data, in a child process: so a file
gives the same crops as in training, and a broken one costs its row and not the server. A picture or video
without a face has no score and a reason, never a guess.
"""

from __future__ import annotations

import base64
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dfray.config import FacesSection
from dfray.errors import UserError
from dfray.evaluation.aggregate import highest_person
from dfray.evaluation.tracks import frame_seconds, track_faces
from dfray.faces.model_file import FILE_NAMES, Kind
from dfray.faces.sources import PictureFile, PixelArray
from dfray.faces.supervise import SupervisedExtractor
from dfray.faces.version import version_note
from dfray.faces.video import Frame, VideoEnd
from dfray.models.bundle import Bundle
from dfray.serving.admission import Admission, NotAdmittedError

if TYPE_CHECKING:
    import pandas as pd

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
"""Columns that `predict` returns: name -> MLflow type, and whether a value may be missing."""

BATCH_FACES = 64
"""Crops scored together; more are not kept in memory."""


@dataclass(frozen=True)
class Unreadable:
    """An input that is not opened, and why."""

    reason: str


Input = str | bytes | np.ndarray | Unreadable
"""The path or URI of a file, the bytes of a picture file, or a picture as uint8 (height, width, 3) RGB."""


@dataclass(frozen=True)
class FacePosition:
    """The index and the time of a face's frame in its video, and its box: x, y, w, h in px."""

    frame_index: int
    time_s: float
    box: tuple[float, float, float, float]


@dataclass
class ScoreRow:
    """One row of the result of `predict`, while it is being filled."""

    input: str
    outcome: str = "unreadable"
    reason: str | None = None
    fake_probability: float | None = None
    label: str | None = None
    n_frames: int = 0
    n_faces: int = 0
    video_s: float | None = None
    work_s: float = 0.0


class MediaScorer:
    """A bundle with the face detector that its faces were found with; close it after use.

    Args:
        admission: which files it opens; none: as the environment of a service says.
    """

    def __init__(
        self, bundle_dir: str, detector_dir: str, admission: Admission | None = None
    ) -> None:
        self.admission = admission or Admission.of_service()
        self.bundle = Bundle.load(bundle_dir)
        settings = FacesSection.from_stored(self.bundle.faces)
        self.settings = settings.model_copy(
            update={"detector_model": _carried_model(settings, detector_dir), "landmarks": False}
        )
        self._extractor: SupervisedExtractor | None = None
        if note := version_note(self.bundle.faces_version):
            warnings.warn(f"This model {note}.", stacklevel=2)

    def predict(self, model_input: Any) -> pd.DataFrame:
        """Score each input, in order.

        Args:
            model_input: one or a list of: the path or URI of a video or a picture (by its suffix), a
                picture as uint8 (height, width, 3) RGB, the bytes of a picture file. Or a DataFrame with
                a column `video` (paths, URIs) or `image` (bytes, or base64 of them).

        Returns:
            A DataFrame of `COLUMNS`. `fake_probability` is by the model's video rule over the faces,
            missing where there is none; `outcome` is ok, no_face, unreadable, crashed or timed_out, with
            its `reason`. A path that `admission` does not open is unreadable.

        Raises:
            UserError: an input is none of these.
        """
        import pandas as pd

        inputs = [_checked(item) for item in _items(model_input)]
        rows = [self._score(item, number) for number, item in enumerate(inputs)]
        types = {"fake_probability": float, "video_s": float}
        return pd.DataFrame([asdict(row) for row in rows], columns=list(COLUMNS)).astype(types)

    def close(self) -> None:
        """End the child process."""
        if self._extractor is not None:
            self._extractor.close()
        self._extractor = None

    def _score(self, item: Input, number: int) -> ScoreRow:
        row = ScoreRow(item if isinstance(item, str) else f"image {number}")
        # The child is started before the clock is.
        self._extractor = self._extractor or SupervisedExtractor(
            self.settings, bounds=self.admission.bounds
        )
        started = time.perf_counter()
        positions: list[FacePosition] = []
        batches = list(self._predictions(self._crops(item, self._extractor, row, positions)))
        if batches:
            scores, embeddings = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
            row.n_faces = len(scores)
            row.fake_probability = self._aggregate(scores, embeddings, positions)
            row.label = "fake" if row.fake_probability >= self.bundle.threshold else "real"
        row.work_s = time.perf_counter() - started
        return row

    def _aggregate(
        self, scores: np.ndarray, embeddings: np.ndarray, positions: list[FacePosition]
    ) -> float:
        """Return one score by the video rule that the model's threshold was chosen under."""
        if self.bundle.decision_rule.video_rule == "mean":
            return float(scores.mean())
        return highest_person(scores, persons_in(positions, embeddings, self.settings.rate_fps))

    def _crops(
        self,
        item: Input,
        extractor: SupervisedExtractor,
        row: ScoreRow,
        positions: list[FacePosition],
    ) -> Iterator[np.ndarray]:
        """Yield the face crops of one input; fill `row` with its outcome, and `positions`."""
        for result in self._extract(item, extractor):
            if isinstance(result, Frame):
                row.n_frames += 1
                for face in result.faces:
                    positions.append(
                        FacePosition(result.frame_index, result.time_s or 0.0, face.box)
                    )
                    yield face.image
                continue
            row.outcome, row.reason = result.status, result.reason
            if result.status in ("ok", "no_face"):  # else the header is not to be trusted
                row.video_s = result.stream.duration_s

    def _extract(self, item: Input, extractor: SupervisedExtractor) -> Iterator[Frame | VideoEnd]:
        match item:
            case Unreadable(reason):
                return iter([VideoEnd("unreadable", reason, 0, 0.0)])
            case str():
                try:
                    return extractor.extract(self.admission.place_of(item))
                except NotAdmittedError as error:
                    return iter([VideoEnd("unreadable", str(error), 0, 0.0)])
            case bytes():
                return extractor.extract_source(PictureFile(item))
            case _:
                return extractor.extract_source(PixelArray(item))

    def _predictions(self, crops: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (fake probabilities, embeddings) of the crops, a batch at a time."""
        batch: list[np.ndarray] = []
        for crop in crops:
            batch.append(crop)
            if len(batch) == BATCH_FACES:
                yield self.bundle.predict(np.stack(batch))
                batch = []
        if batch:
            yield self.bundle.predict(np.stack(batch))


def persons_in(
    positions: Sequence[FacePosition], embeddings: np.ndarray, rate_fps: float | None
) -> np.ndarray:
    """Return the person in each face of one input, int32 (N,), as `tracks.track_faces` tells them apart.

    Args:
        embeddings: float (N, D), of the faces.
        rate_fps: at which frames were sampled; None: not at a rate.
    """
    frames = np.array([position.frame_index for position in positions])
    boxes = np.array([position.box for position in positions])
    times_s = np.array([position.time_s for position in positions])
    return track_faces(frames, boxes, embeddings, frame_seconds(frames, times_s, rate_fps))


def _items(model_input: Any) -> list[Any]:
    """Return one item for each row of the answer."""
    if hasattr(model_input, "columns"):
        return [_cell(row) for row in model_input.to_dict("records")]
    if isinstance(model_input, str | Path | bytes | bytearray) or _is_pixels(model_input):
        return [model_input]
    if isinstance(model_input, Iterable):
        return list(model_input)
    raise _wrong_input(model_input)


def _cell(row: dict[Any, Any]) -> Any:
    """Return the path, or the picture's bytes, in a row of a DataFrame."""
    if isinstance(row.get("video"), str):
        return row["video"]
    image = row.get("image")
    if isinstance(image, str):  # as JSON carries bytes
        try:
            return base64.b64decode(image)
        except ValueError as error:
            return Unreadable(f"is not base64: {error}")
    if image is None or image != image:
        raise UserError(
            f"A row with column(s) {', '.join(map(str, row))} has neither `video` nor `image`.",
            "Give a DataFrame with a column `video` (paths) or `image` (bytes of a picture file).",
        )
    return image


def _checked(item: Any) -> Input:
    """Return the input in the type that the extractor is given.

    Raises:
        UserError: it has another type, or is an array of other values than uint8 has.
    """
    if isinstance(item, Unreadable):
        return item
    if isinstance(item, str | Path):
        return str(item)
    if isinstance(item, bytes | bytearray):
        return bytes(item)
    pixels = np.asarray(item)
    if not _is_pixels(pixels) or pixels.dtype.kind not in "iu":
        raise _wrong_input(item)
    if pixels.min() < 0 or pixels.max() > 255:
        raise _wrong_input(item)
    return pixels.astype(np.uint8, copy=False)


def _is_pixels(value: Any) -> bool:
    shape: tuple[int, ...] = getattr(value, "shape", ())
    return len(shape) == 3 and shape[2] == 3 and min(shape) > 0


def _wrong_input(value: Any) -> UserError:
    form = f"{getattr(value, 'dtype', '')} {getattr(value, 'shape', '')}".strip()
    return UserError(
        f"The model takes no {type(value).__name__} {form}".rstrip() + ".",
        "Give paths, bytes of picture files, or pictures as uint8 (height, width, 3) RGB.",
    )


def _carried_model(settings: FacesSection, detector_dir: str) -> str:
    """Return the carried face detector, in the form of `faces.detector_model`: its hash is checked again.

    A detector of the user's own goes with the hash that the recipe states for it.
    """
    _, marker, stated = (settings.detector_model or "").partition("#sha256=")
    if not marker:
        return detector_dir
    kind: Kind = "short" if settings.detector == "short" else "full"
    return f"{detector_dir}/{FILE_NAMES[kind]}#sha256={stated}"
