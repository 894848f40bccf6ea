"""Where the faces of a split are in their frames, read without a pixel."""

from __future__ import annotations

import pyarrow as pa

from dfray.faces.shards import FacesStore, open_shard
from dfray.tables import FACES

COLUMNS = (
    "video_id",
    "dataset",
    "label",
    "frame_index",
    "face_index",
    "box",
    "frame_width",
    "frame_height",
    "keypoints",
)


def read_boxes(store: FacesStore, split: str) -> pa.Table:
    """The COLUMNS of FACES of every face of `split`, in the order of video, frame and face."""
    fields = [FACES.schema.field(name) for name in COLUMNS]
    tables = [open_shard(uri).read(columns=list(COLUMNS)) for uri in store.shards(split)]
    table = pa.concat_tables(
        [pa.schema(fields).empty_table(), *(t.select(COLUMNS) for t in tables)]
    )
    return table.sort_by(
        [(name, "ascending") for name in ("video_id", "frame_index", "face_index")]
    )
