"""Faces store: Parquet shards that become visible only by an atomic commit.

    <uri>/extraction.json        the settings and the version that made the faces; others are refused
    <uri>/writer                 the run that may commit: the last that claimed the store
    <uri>/faces/<id>.parquet     FACES, all rows of a video together, 64 rows to a row group
    <uri>/outcomes/<id>.parquet  OUTCOMES of the same videos
    <uri>/videos/<id>.parquet    SUMMARIES of the same videos: the commit record, written last, with the
                                 SHA-256 of the shard of faces

A shard without its commit record does not exist: readers start from `videos/`, so a killed writer
leaves nothing half done. An actor can outlive its run for a while, and the next run plans its videos anew:
so only the run that claimed the store last may commit, and no video is there twice.
Every shard holds videos of one split, that of the manifest that they were extracted by.
Pixels are raw bytes in a binary column under lz4: lossless, and read several times faster than PNG. Pages
have checksums, which are verified when they are read (`shard_file`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dfray import storage
from dfray.config import FacesSection
from dfray.documents import read_json, validated
from dfray.errors import DamagedShardError, SchemaError, StorageError, UserError
from dfray.faces.settings import identifying_settings
from dfray.faces.shard_file import ADVICE, ShardFile
from dfray.faces.version import FACES_VERSION, UNSTATED
from dfray.tables import FACES, OUTCOMES, SUMMARIES, TableSpec

ROW_GROUP = 64
"""Rows in every row group of a shard but the last: row r lies in group r // ROW_GROUP."""
DESCRIBING = ("dataset", "split", "label", "category", "method", "source_video", "identity")
"""Columns of all tables in which the manifest describes a video."""
_FILE = "__filename"
"""Name by which Arrow gives the file of a row."""
_VERSION = "faces_version"
_EARLY_KEYS = ("landmarks",)
"""Keys of FacesSection that a store of the first version may lack and that had their default then."""


class FacesStore:
    """The faces written under one URI; cheap to make, picklable, and it reads nothing when it is made."""

    def __init__(self, uri: str) -> None:
        self.uri = storage.absolute(uri)
        self._claim: str | None = None

    def shard_uri(self, shard: str) -> str:
        return self.table_uri("faces", shard)

    def is_committed(self, shard: str) -> bool:
        return storage.exists(self.table_uri("videos", shard))

    def table_uri(self, folder: str, shard: str) -> str:
        """Return the URI of a shard's file in `faces`, `outcomes` or `videos`."""
        return storage.join(self.uri, folder, f"{shard}.parquet")

    def remove(self, shard: str) -> None:
        """Remove a shard, its commit record first: its videos are missing then."""
        for folder in ("videos", "outcomes", "faces"):
            storage.remove(self.table_uri(folder, shard))

    def summaries(self, splits: Sequence[str] | None = None) -> pa.Table:
        """Return SUMMARIES of every committed video, of all splits or of some."""
        names = self.committed()
        names = [name for name in names if splits is None or name.rpartition("-")[0] in splits]
        return self._read("videos", SUMMARIES, names)

    def shard_summaries(self, shard: str) -> pa.Table:
        """Return SUMMARIES of the videos of one committed shard."""
        return SUMMARIES.read(self.table_uri("videos", shard))

    def outcomes(self) -> pa.Table:
        """Return OUTCOMES of every sampled frame of every committed video."""
        return self._read("outcomes", OUTCOMES, self.committed())

    def shards(self, split: str) -> list[str]:
        """Return the URIs of the shards that hold the faces of `split`, in the order of their names."""
        return [self.shard_uri(name) for name in videos_by_shard(self.summaries([split]))]

    def fingerprint(self, split: str | None = None) -> str:
        """Return 16 hex digits that identify the faces of a split or of all: settings, videos, contents."""
        import hashlib

        table = self.summaries([split] if split else None).sort_by("video_id")
        digest = hashlib.sha256(json.dumps(self._stored_settings()).encode())
        columns = ("video_id", "category", "n_faces", "digest", "content")
        for row in table.select(columns).to_pylist():
            content = row["digest"] or row["content"]
            values = (
                row["video_id"],
                row["category"],
                row["n_faces"],
                *([content] if content else []),
            )
            digest.update(("\0".join(map(str, values)) + "\n").encode())
        return digest.hexdigest()[:16]

    def claim(self, settings: FacesSection) -> None:
        """Make this object's run the one that may commit, and bind the store to `settings`.

        Raises:
            UserError: the store is bound to other settings; the message states both values.
        """
        new = identifying_settings(settings)
        if not storage.exists(self._settings_uri):
            data = json.dumps(new, indent=2, sort_keys=True).encode()
            storage.write_bytes(data, self._settings_uri)
        del new[_VERSION]  # another one is refused only if videos are missing
        stored = self._stored_settings()
        if (
            stored.pop(_VERSION, UNSTATED) == UNSTATED
        ):  # made before there were keys such as doubt_score
            new = {key: value for key, value in new.items() if key in stored or key in _EARLY_KEYS}
        defaults = FacesSection()
        younger = {key: getattr(defaults, key) for key in defaults.unused_younger()}
        new, stored = younger | new, younger | defaults.shaping() | stored
        keys = [key for key in sorted(new) if new[key] != stored[key]]
        if keys:
            changes = ", ".join(f"faces.{k} {stored[k]!r} (now {new[k]!r})" for k in keys)
            raise UserError(
                f"The faces under {self.uri} were extracted with other settings: {changes}.",
                "Go back to those settings, or name another place for the faces.",
            )
        self._claim = uuid.uuid4().hex
        storage.write_bytes(self._claim.encode(), self._writer_uri)

    @property
    def version(self) -> int:
        """Version of how the stored faces were taken; the current one if none are stored yet."""
        if not storage.exists(self._settings_uri):
            return FACES_VERSION
        version: int = self._stored_settings().get(_VERSION, UNSTATED)
        return version

    def require_current_version(self, missing: Sequence[str]) -> None:
        """Check that faces of the current version may join those stored.

        Args:
            missing: video_ids without stored faces, at least one.

        Raises:
            UserError: those stored were taken in another way.
        """
        if self.version != FACES_VERSION:
            raise UserError(
                f"The faces under {self.uri} were taken by version {self.version} of the extraction, and "
                f"lack {len(missing):,} of the manifest's videos, such as {missing[0]}; this dfray takes "
                f"them by version {FACES_VERSION}, and one store holds one.",
                "To extract all videos anew, name another place (work_dir or name) or remove that folder; "
                "or finish with the dfray that began. If all were extracted, the manifest was built anew and "
                "gives some of them other ids: put the earlier manifest.parquet back.",
            )

    def require_claim(self) -> None:
        """Check that no other run has claimed the store since this object (or the one it is a copy of) did.

        Raises:
            StorageError: another run has, or this object has never claimed it.
        """
        if storage.read_bytes(self._writer_uri) != (self._claim or "").encode():
            raise StorageError(
                f"Another run that began later extracts faces into {self.uri}.",
                "Let one run at a time write there; what this one has finished is kept.",
            )

    @property
    def _settings_uri(self) -> str:
        return storage.join(self.uri, "extraction.json")

    @property
    def _writer_uri(self) -> str:
        return storage.join(self.uri, "writer")

    def _stored_settings(self) -> dict[str, Any]:
        hint = (
            "dfray writes this file: put it back as it was, or move the store away to extract anew."
        )
        settings = read_json(self._settings_uri, hint=hint)
        return validated(dict[str, Any], settings, self._settings_uri, hint=hint)

    def committed(self) -> list[str]:
        """Return the names of the committed shards."""
        files = storage.list_files(storage.join(self.uri, "videos"), ".parquet")
        return [uri.rpartition("/")[2].removesuffix(".parquet") for uri in files]

    def _read(
        self, folder: str, spec: TableSpec, shards: Sequence[str], *, with_shard: bool = False
    ) -> pa.Table:
        """Return the rows of the spec's tables of some shards; with the name of its shard, if asked for."""
        import pyarrow.dataset

        if not shards:
            empty = spec.schema.empty_table()
            return empty.append_column("shard", pa.array([], pa.string())) if with_shard else empty
        fs, path = storage.arrow_filesystem(storage.join(self.uri, folder))
        files = pyarrow.dataset.dataset(
            [f"{path}/{name}.parquet" for name in shards],
            schema=spec.schema,
            format=_checked_parquet(),
            filesystem=fs,
        )
        columns = [*spec.names, *([_FILE] if with_shard else [])]
        try:
            table = storage.attempt(partial(files.to_table, columns), self.uri, "read")
        except StorageError:
            for name in shards:
                _require_sound(spec, self.table_uri(folder, name))
            raise
        if not with_shard:
            return table
        names = pc.replace_substring_regex(table[_FILE], r"^.*/|\.parquet$", "")
        return table.drop_columns(_FILE).append_column("shard", names)


def _checked_parquet() -> Any:
    """Return the format of Parquet files of which page checksums are verified."""
    from pyarrow.dataset import ParquetFileFormat, ParquetFragmentScanOptions

    options = ParquetFragmentScanOptions(page_checksum_verification=True)
    return ParquetFileFormat(default_fragment_scan_options=options)


def _require_sound(spec: TableSpec, uri: str) -> None:
    try:
        spec.read(uri)
    except SchemaError as error:
        raise DamagedShardError(error.message, ADVICE) from error


BOX_COLUMNS = (
    "video_id",
    "dataset",
    "label",
    "frame_index",
    "time_s",
    "face_index",
    "box",
    "frame_width",
    "frame_height",
    "keypoints",
)


def read_boxes(store: FacesStore, split: str) -> pa.Table:
    """Return the BOX_COLUMNS of FACES of every face of `split`, in the order of video, frame and face."""
    summaries = store.summaries([split])
    tables = [pa.schema([FACES.schema.field(name) for name in BOX_COLUMNS]).empty_table()]
    for name, videos in videos_by_shard(summaries).items():
        boxes = ShardFile(store.shard_uri(name)).read(BOX_COLUMNS)
        is_of_split = pc.is_in(boxes["video_id"], videos["video_id"].combine_chunks())
        tables.append(boxes.select(BOX_COLUMNS).filter(is_of_split))
    table = described(pa.concat_tables(tables), summaries)
    return table.sort_by(
        [(name, "ascending") for name in ("video_id", "frame_index", "face_index")]
    )


def videos_by_shard(summaries: pa.Table) -> dict[str, pa.Table]:
    """Return the SUMMARIES of the videos with faces by the name of their shard, in its order."""
    table = summaries.filter(pc.greater(summaries["n_faces"], 0))
    names = sorted(table["shard"].unique().to_pylist())
    return {name: table.filter(pc.equal(table["shard"], name)) for name in names}


def described(rows: pa.Table, videos: pa.Table) -> pa.Table:
    """Return rows of videos with the values of `videos` in the columns that describe a video.

    Args:
        rows: any table with `video_id`, each of which `videos` has once.
        videos: VIDEOS or SUMMARIES.
    """
    place = pc.index_in(rows["video_id"], value_set=videos["video_id"].combine_chunks())
    for name in DESCRIBING:
        if name in rows.column_names:
            column = rows.schema.get_field_index(name)
            rows = rows.set_column(column, rows.schema.field(name), videos[name].take(place))
    return rows
