"""Rows of scored faces, one for each face: when, where, who, how suspicious and how visible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from dfray.tables import Column, Row, TableSpec

if TYPE_CHECKING:
    from dfray.serving.examination import Examination

FACE_SCORES = TableSpec(
    "face scores",
    (
        Column("input", pa.string(), "the file or folder that was scored: a full path or s3://"),
        Column("model", pa.string(), "name of the registered model"),
        Column("version", pa.string(), "its version"),
        Column("checksum", pa.string(), "SHA-256 of its weights"),
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


def face_rows(examination: Examination) -> list[Row]:
    """Return the rows of FACE_SCORES of the faces of an input, by frame and face."""
    score = examination.score
    of_all = {
        "input": score.input,
        "model": score.model,
        "version": score.version,
        "checksum": score.checksum,
    }
    return [of_all | face.row() for face in examination.faces]
