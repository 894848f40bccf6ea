"""Rows of scored faces, one for each face: when, where, who, how suspicious and how visible."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow as pa

from dfray import storage
from dfray.errors import UserError
from dfray.tables import Column, TableSpec
from dfray.text import to_csv

if TYPE_CHECKING:
    from dfray.serving.examination import Examination

FACE_SCORES = TableSpec(
    "face scores",
    (
        Column("input", pa.string(), "the file as it was named"),
        Column("frame_index", pa.int32(), "k of the sampled frame, from 0"),
        Column("time_s", pa.float64(), "time of the picture from the video's start, s", True),
        Column("person", pa.int32(), "who is seen: 0, 1, ... in the order of appearance"),
        Column("face_index", pa.int16(), "rank of the face in its frame, the largest box first"),
        Column("box_x", pa.float32(), "left edge of the face's box, px of the upright frame"),
        Column("box_y", pa.float32(), "upper edge of the box, px"),
        Column("box_w", pa.float32(), "width of the box, px"),
        Column("box_h", pa.float32(), "height of the box, px"),
        Column("frame_width", pa.int32(), "width of the upright frame, px"),
        Column("frame_height", pa.int32(), "height of the upright frame, px"),
        Column("fake_probability", pa.float32(), "of this face alone, 0..1, calibrated as the model's"),
        Column("face_px", pa.float32(), "longer side of the box, px"),
        Column("sharpness", pa.float32(), "variance of the Laplacian of the crop's luma; low: blurred"),
        Column("brightness", pa.float32(), "mean luma of the crop, 0 black to 255 white"),
        Column("detector_score", pa.float32(), "the face detector's confidence, 0..1"),
    ),
)  # fmt: skip

SUFFIXES = (".csv", ".jsonl", ".parquet")


def require_suffix(uri: str) -> None:
    """Raise a UserError unless `uri` ends with one of SUFFIXES."""
    if not uri.endswith(SUFFIXES):
        raise UserError(
            f"{uri} is no name of a table of faces.", f"Let it end with {', '.join(SUFFIXES)}."
        )


def face_scores(examinations: Iterable[Examination]) -> pa.Table:
    """Return FACE_SCORES of the faces of all inputs, by input, frame and face."""
    rows = [
        {"input": examination.score.file} | face.row()
        for examination in examinations
        for face in examination.faces
    ]
    return FACE_SCORES.from_rows(rows)


def write_face_scores(table: pa.Table, uri: str) -> None:
    """Write FACE_SCORES to `uri`, atomically: Parquet, CSV or lines of JSON by its suffix.

    Raises:
        UserError: it has another suffix.
        StorageError: it cannot be written.
    """
    require_suffix(uri)
    if uri.endswith(".parquet"):
        FACE_SCORES.write(table, uri)
        return
    as_text = _as_csv if uri.endswith(".csv") else _as_json_lines
    storage.write_bytes(as_text(FACE_SCORES.conform(table, uri)).encode(), uri)


def _as_csv(table: pa.Table) -> str:
    columns = [column.to_pylist() for column in table.columns]
    return to_csv([table.column_names, *zip(*columns, strict=True)])


def _as_json_lines(table: pa.Table) -> str:
    return "".join(json.dumps(row) + "\n" for row in table.to_pylist())
