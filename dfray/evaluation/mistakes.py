"""The worst mistakes, with the faces they were made on.

Only the row groups that hold the chosen videos are read, and of a long video a few faces spread
evenly in time. For the very worst, maps show where in the face the evidence for the wrong call lay.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from dfray.errors import EvaluationError
from dfray.evaluation.aggregate import VIDEO_SCORES, is_scored
from dfray.faces.crop_codec import decode_images
from dfray.faces.shard_file import ShardFile
from dfray.faces.shards import ROW_GROUP, FacesStore
from dfray.tables import FAKE, REAL

FACES_SHOWN = 6
EXPLAINED = 3
"""Mistakes of each kind whose faces get a map."""
SIDE_PX = 112


@dataclass(frozen=True)
class Mistake:
    """A video on the wrong side of the threshold.

    `images` are JPEG files of some of its faces, `maps` of the same faces with what spoke for the call;
    `unexplained` says why maps that were wanted could not be made.
    """

    video_id: str
    dataset: str
    method: str
    label: int
    score: float
    n_faces: int
    images: tuple[bytes, ...]
    maps: tuple[bytes, ...] = ()
    unexplained: str | None = None


class Explain(Protocol):
    """Faces, uint8 (N, H, H, 3) -> what speaks for the call, float (N, H, H), 0..1.

    Raises:
        EvaluationError: this model gives no maps.
    """

    def __call__(self, faces: np.ndarray, *, toward_fake: bool) -> np.ndarray: ...


def worst_mistakes(
    video_scores: pa.Table,
    store: FacesStore | None,
    split: str,
    n: int,
    *,
    threshold: float = 0.5,
    explain: Explain | None = None,
) -> list[Mistake]:
    """The `n` real videos with the highest scores, then the `n` fakes with the lowest.

    Only videos on the wrong side of `threshold` (fake at or above it) are mistakes, so there may be
    fewer, or none.

    Args:
        video_scores: VIDEO_SCORES of `split`.
        store: the faces that were scored; None: they are not there, and no mistake has pictures.
        explain: gives the maps of the EXPLAINED worst of each kind; none: no maps.
    """
    scored = VIDEO_SCORES.conform(video_scores, "video scores").filter(is_scored(video_scores))
    rows = _worst_rows(scored, n, threshold)
    places = _places(store, split, {row["video_id"] for row in rows}) if store else {}
    explained = {row["video_id"] for label in (REAL, FAKE) for row in _first(rows, label)}
    worst = []
    for row in rows:
        faces = _faces(store, places[row["video_id"]], row["n_faces"]) if store else []
        mistake = Mistake(
            video_id=row["video_id"],
            dataset=row["dataset"],
            method=row["method"],
            label=row["label"],
            score=row["fake_probability"],
            n_faces=row["n_faces"],
            images=tuple(_thumbnail(face) for face in faces),
        )
        if explain is not None and row["video_id"] in explained:
            mistake = _explained(mistake, faces, explain)
        worst.append(mistake)
    return worst


def _worst_rows(scored: pa.Table, n: int, threshold: float) -> list[dict[str, Any]]:
    """Return the rows of the `n` worst false alarms, then of the `n` worst missed fakes."""
    scores = scored.column("fake_probability").to_numpy()
    is_real = scored.column("label").to_numpy() == REAL
    called_fake = scores >= threshold
    descending = np.argsort(-scores, kind="stable")
    false_alarms = [i for i in descending if is_real[i] and called_fake[i]][:n]
    missed = [i for i in descending[::-1] if not is_real[i] and not called_fake[i]][:n]
    rows: list[dict[str, Any]] = scored.take(
        pa.array([*false_alarms, *missed], pa.int64())
    ).to_pylist()
    return rows


def _places(store: FacesStore, split: str, video_ids: set[str]) -> dict[str, dict[str, Any]]:
    """Return video_id -> where its faces lie: shard and first row."""
    summaries = store.summaries([split]).select(["video_id", "shard", "first_row"])
    return {row["video_id"]: row for row in summaries.to_pylist() if row["video_id"] in video_ids}


def _explained(mistake: Mistake, faces: list[np.ndarray], explain: Explain) -> Mistake:
    """Return the mistake with maps of its faces, or why there are none."""
    from dfray.evaluation.saliency import overlay  # and torch

    try:
        maps = explain(np.stack(faces), toward_fake=mistake.label == REAL)
    except EvaluationError as error:
        return replace(mistake, unexplained=str(error))
    overlaid = (overlay(*pair) for pair in zip(faces, maps, strict=True))
    return replace(mistake, maps=tuple(_thumbnail(each) for each in overlaid))


def _first(rows: list[dict[str, Any]], label: int) -> list[dict[str, Any]]:
    return [row for row in rows if row["label"] == label][:EXPLAINED]


def _faces(store: FacesStore, place: dict[str, Any], n_faces: int) -> list[np.ndarray]:
    """Up to FACES_SHOWN faces of one video, spread evenly over its rows: uint8 (H, H, 3) each."""
    offsets = np.unique(np.linspace(0, n_faces - 1, min(n_faces, FACES_SHOWN)).round().astype(int))
    uri = store.shard_uri(place["shard"])
    rows = place["first_row"] + offsets
    columns = ["video_id", "size_px", "encoding", "image"]
    file = ShardFile(uri)
    groups = {
        int(group): file.read_row_group(int(group), columns)
        for group in np.unique(rows // ROW_GROUP)
    }
    images = []
    for row in rows:
        face = groups[int(row) // ROW_GROUP].slice(int(row) % ROW_GROUP, 1)
        if face.column("video_id").to_pylist() != [place["video_id"]]:
            raise EvaluationError(
                f"Row {row} of {uri} is no face of {place['video_id']}, as its summary says.",
                "Extract the faces again into an empty folder.",
            )
        images.append(decode_images(face)[0])
    return images


def _thumbnail(image: np.ndarray) -> bytes:
    """uint8 (S, S, 3), RGB -> a JPEG file of SIDE_PX x SIDE_PX."""
    from PIL import Image

    buffer = io.BytesIO()
    small = Image.fromarray(image).resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    small.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()
