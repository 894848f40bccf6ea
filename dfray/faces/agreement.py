"""Agreement of the stored faces with the manifest of their run.

Training and evaluation take the split and the class of a face from the store, so a manifest that was built
anew with others must not pass unnoticed: test videos would be trained on.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from dfray.errors import UserError

_COMPARED = ("split", "label", "category")


def require_agreement(summaries: pa.Table, videos: pa.Table, store_uri: str) -> None:
    """Check that the stored videos have the split and class that the manifest gives them.

    A stored video whose id the manifest lacks is looked up by its URI: its id may have changed too.

    Args:
        summaries: SUMMARIES of the store at `store_uri`.
        videos: VIDEOS of the manifest.

    Raises:
        UserError: some differ; the message has their number and an example.
    """
    differences = list(_differences(summaries, videos))
    if differences:
        raise UserError(
            f"{len(differences):,} of the {summaries.num_rows:,} videos stored under {store_uri} have "
            f"another split or class in the manifest, such as {differences[0]}.",
            "Put back the manifest.parquet that the faces were extracted by; or, to use the new one, remove "
            "that folder (or name another work_dir or name) and extract anew. Train again too: a model may "
            "have learned from videos that are test videos now.",
        )


def _differences(summaries: pa.Table, videos: pa.Table) -> Iterator[str]:
    """Yield name and changes of each stored video that the manifest contradicts."""
    columns = ["video_id", "uri", *_COMPARED]
    listed = videos.select(columns).to_pylist()
    by_id = {row["video_id"]: row for row in listed}
    by_uri = {row["uri"]: row for row in listed}
    for stored in summaries.select(columns).to_pylist():
        row = by_id.get(stored["video_id"]) or by_uri.get(stored["uri"])
        changes = [
            f"{column} {stored[column]} stored, {row[column]} in the manifest"
            for column in _COMPARED
            if row and row[column] != stored[column]
        ]
        if changes:
            yield f"{stored['video_id']} ({'; '.join(changes)})"
