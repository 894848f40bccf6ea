"""Faces of one run: the stored videos that its manifest lists, described as the manifest describes them.

Many recipes share a store, and a corpus changes: the split, class and person stored with a video are those
of an earlier manifest. A stored video is the listed one if id, URI and content agree, and has the manifest's
split and class. So another split costs no extraction, test videos are never trained on, and the faces of a
file that was overwritten are not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from dfray.faces.shards import DESCRIBING, FacesStore, described
from dfray.notes import note
from dfray.tables import OUTCOMES, VIDEOS

_IDENTIFYING = ("video_id", "uri", "content")


class FacesView(FacesStore):
    """A store restricted to the videos of a manifest.

    Args:
        uri: of the store.
        videos: VIDEOS of the manifest.
    """

    def __init__(self, uri: str, videos: pa.Table) -> None:
        super().__init__(uri)
        self._videos = videos.select([*_IDENTIFYING, *DESCRIBING])

    @classmethod
    def of_manifest(cls, uri: str, manifest_uri: str) -> Self:
        """Return the view by a manifest that is written.

        Raises:
            SchemaError, StorageError: the manifest cannot be read.
        """
        return cls(uri, VIDEOS.read(manifest_uri))

    def summaries(self, splits: Sequence[str] | None = None) -> pa.Table:
        """Return SUMMARIES of the listed videos that are stored, in the manifest's order.

        Args:
            splits: by the manifest; None: all.
        """
        stored = super().summaries()
        rows = self._rows_in(stored)
        is_stored = pc.is_valid(rows)
        table = described(stored.take(rows.filter(is_stored)), self._videos.filter(is_stored))
        return table if splits is None else _of_splits(table, splits)

    def unextracted(self, splits: Sequence[str]) -> pa.Table:
        """Return the listed videos of `splits` that are not stored: their id and how they are described."""
        is_missing = pc.is_null(self._rows_in(super().summaries()))
        return _of_splits(self._videos.filter(is_missing), splits)

    def _rows_in(self, stored: pa.Table) -> pa.Array:
        """Return the row of each listed video in SUMMARIES of the store; null: it is not there."""
        keys = _key(stored, *_IDENTIFYING)
        return pc.index_in(_key(self._videos, *_IDENTIFYING), value_set=keys)

    def note_unchecked(self) -> None:
        """Print, once, how many shards of the listed videos were stored without checksums, if any were."""
        summaries = self.summaries()
        shards, checked = (
            set(summaries.filter(rows)["shard"].to_pylist())
            for rows in (
                pc.greater(summaries["n_faces"], 0),
                pc.is_valid(summaries["shard_sha256"]),
            )
        )
        if unchecked := len(shards - checked):
            _note_unchecked(self.uri, unchecked, len(shards))

    def outcomes(self) -> pa.Table:
        """Return OUTCOMES of every sampled frame of the listed videos that are stored."""
        summaries = self.summaries()
        names = [name for name in summaries["shard"].unique().to_pylist() if name is not None]
        table = self._read("outcomes", OUTCOMES, names, with_shard=True)
        columns = ("video_id", "shard")
        is_listed = pc.is_in(_key(table, *columns), value_set=_key(summaries, *columns))
        return table.filter(is_listed).select(OUTCOMES.names)


@cache
def _note_unchecked(uri: str, unchecked: int, shards: int) -> None:
    note(
        f"· {unchecked} of {shards} shards under {uri} are of an earlier dfray and have no checksums: damage "
        "that can still be decoded is not noticed in them."
    )


def _of_splits(table: pa.Table, splits: Sequence[str]) -> pa.Table:
    return table.filter(pc.is_in(table["split"], pa.array(splits, pa.string())))


def _key(table: pa.Table, *columns: str) -> pa.Array:
    """Return a string for each row that only rows of the same values share; no value is an empty one."""
    key = pc.binary_join_element_wise(*(pc.fill_null(table[name], "") for name in columns), "\0")
    return key.combine_chunks() if isinstance(key, pa.ChunkedArray) else key
