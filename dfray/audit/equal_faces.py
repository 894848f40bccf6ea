"""Videos of equal faces, found after the extraction: equal decoded pictures in other files.

A file that was packed into another container, or has other metadata, has other bytes and gives the same
pictures. What a model is given are the crops of faces, so those are compared, by the digest of all of them.
Videos without a face are in no training and have no score; they are not compared.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from dfray.audit.equal import EqualVideos, grouped

BY = "faces"
_COLUMNS = ("video_id", "dataset", "split", "label", "n_faces", "faces_digest")


def equal_faces(summaries: pa.Table) -> list[EqualVideos]:
    """Return the groups of videos with equal faces; those that cross splits first.

    Args:
        summaries: SUMMARIES of all splits.
    """
    rows = summaries.select(_COLUMNS).to_pylist()
    return grouped((row["faces_digest"] for row in rows), rows, BY)


def without_digest(summaries: pa.Table) -> int:
    """Return the number of videos with faces of the time before there was a digest of them."""
    has_faces = pc.greater(summaries["n_faces"], 0)
    lacks = pc.and_(has_faces, pc.is_null(summaries["faces_digest"]))
    return int(pc.sum(lacks).as_py() or 0)
