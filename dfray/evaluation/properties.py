"""Properties of each video that tell nothing of a forgery, and may tell which class it is of all the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dfray import storage
from dfray.tables import Row


@dataclass(frozen=True)
class Property:
    """One property.

    Attributes:
        title: for tables, with its unit.
        is_name: its values are names, not numbers.
    """

    name: str
    title: str
    is_name: bool = False


PROPERTIES = (
    Property("codec", "codec", is_name=True),
    Property("width", "width (px)"),
    Property("height", "height (px)"),
    Property("fps", "frame rate (frames/s)"),
    Property("bit_rate", "bit rate (bits/s)"),
    Property("pixel_aspect", "pixel aspect"),
    Property("length_s", "length (s)"),
    Property("file_bytes", "file size (bytes)"),
    Property("face_px", "face size (px)"),
    Property("quality", "quality (bits/pixel)"),
)
"""Columns of the table of `video_properties`, beside those of the video; null where they are not known."""
_OF_VIDEO = ("video_id", "dataset", "split", "label", "identity", "source_video")


def video_properties(
    summaries: pa.Table,
    boxes: pa.Table,
    rate_fps: float | None,
    durations: Mapping[str, float] | None = None,
) -> pa.Table:
    """Return the PROPERTIES of each video with a face, and who and what it was made from.

    The face size is the median, over the video's faces, of the longer side of their boxes. The length is that
    of the header if `durations` has every video's, else the sampled frames over their rate, or, of a fixed
    number of frames, the time of the last one with a face. Quality is the bit rate over pixels a second.
    Folders of pictures have no codec, rates and file size.

    Args:
        summaries: SUMMARIES.
        boxes: with the columns video_id, time_s and box, of their faces.
        rate_fps: at which frames were sampled; None: so many of each video.
        durations: video_id -> length, s.
    """
    videos = summaries.filter(pc.greater(summaries["n_faces"], 0))
    ids = videos["video_id"].to_pylist()
    sizes, lengths = _face_sizes(boxes), {} if rate_fps else _last_times(boxes)
    if durations and durations.keys() >= set(ids):
        lengths = dict(durations)
    rows = [
        row | _derived(row, rate_fps) | {"face_px": sizes.get(row["video_id"])}
        for row in videos.to_pylist()
    ]
    for row in rows:
        row["length_s"] = lengths.get(row["video_id"], row["length_s"])
    columns: dict[str, Any] = {name: pa.array([r[name] for r in rows]) for name in _OF_VIDEO}
    for prop in PROPERTIES:
        kind = pa.string() if prop.is_name else pa.float64()
        columns[prop.name] = pa.array([row[prop.name] for row in rows], kind)
    return pa.table(columns)


def _derived(row: Row, rate_fps: float | None) -> Row:
    pixels = (row["width"] or 0) * (row["height"] or 0) * (row["fps"] or 0)
    is_file = row["codec"] is not None and row["content"] is not None
    return {
        "length_s": row["n_frames"] / rate_fps if rate_fps else None,
        "file_bytes": float(storage.size_of(row["content"])) if is_file else None,
        "quality": row["bit_rate"] / pixels if row["bit_rate"] and pixels else None,
    }


def _last_times(boxes: pa.Table) -> dict[str, float]:
    """Return video_id -> time of its last face, s."""
    last = boxes.group_by("video_id").aggregate([("time_s", "max")])
    return dict(zip(last["video_id"].to_pylist(), last["time_s_max"].to_pylist(), strict=True))


def _face_sizes(boxes: pa.Table) -> dict[str, float]:
    """Return video_id -> median of the longer sides of its boxes, px."""
    if not boxes.num_rows:
        return {}
    sides = boxes["box"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    table = pa.table({"video_id": boxes["video_id"], "px": sides[:, 2:].max(axis=1)})
    medians = table.group_by("video_id").aggregate([("px", "approximate_median")])
    values = medians["px_approximate_median"].to_numpy().astype(np.float64).tolist()
    return dict(zip(medians["video_id"].to_pylist(), values, strict=True))
