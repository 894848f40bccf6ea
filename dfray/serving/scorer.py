"""Inference of a registered model: pictures or videos in, one row of scores for each out.

All inputs go through the extractor that found the faces of the training data, in a child process: so a file
gives the same crops as in training, and a broken one costs its row and not the server. A picture or video
without a face has no score and a reason, never a guess.
"""

from __future__ import annotations

import base64
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dfray.errors import UserError
from dfray.faces.version import version_note
from dfray.models.bundle import Bundle
from dfray.models.bundle_description import read_description
from dfray.serving.admission import Admission
from dfray.serving.media_reader import (
    Input,
    MediaReader,
    Predictions,
    Unreadable,
    carried_settings,
)
from dfray.serving.media_score import MediaScore
from dfray.serving.score_table import ScoringModel

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


class MediaScorer(MediaReader):
    """A bundle with the face detector that its faces were found with; close it after use.

    Args:
        admission: which files it opens; none: as the environment of a service says.
        device: on which the network runs.

    Attributes:
        model: what rows of scores state of it; name and version are those of its registration, if known.
    """

    def __init__(
        self,
        bundle_dir: str,
        detector_dir: str,
        admission: Admission | None = None,
        device: str = "cpu",
    ) -> None:
        self.bundle = Bundle.load(bundle_dir, device)
        self.model = ScoringModel.of("", "", read_description(bundle_dir))
        settings = carried_settings(self.bundle.faces, detector_dir)
        super().__init__(settings, self.bundle.decision_rule, admission or Admission.of_service())
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
        rows = [
            _row(item if isinstance(item, str) else f"image {number}", self.score(item))
            for number, item in enumerate(inputs)
        ]
        types = {"fake_probability": float, "video_s": float}
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype(types)

    def _send(self, crops: np.ndarray) -> Predictions:
        return self.bundle.predict(crops)

    def _receive(self, handle: Predictions) -> Predictions:
        return handle


def _row(name: str, score: MediaScore) -> dict[str, Any]:
    """Return the row of COLUMNS of one input."""
    findings = score.findings
    return {
        "input": name,
        "outcome": findings.outcome,
        "reason": findings.reason,
        "fake_probability": score.fake_probability,
        "label": score.verdict,
        "n_frames": findings.n_frames,
        "n_faces": score.n_faces,
        "video_s": findings.video_s,
        "work_s": score.work_s,
    }


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
