"""The five tables that travel between stages, each column with its meaning.

    VIDEOS    one row per video            datasets   -> faces
    FACES     one row per face crop        faces      -> batches, evaluation
    OUTCOMES  one row per sampled frame    faces      -> report
    SUMMARIES one row per extracted video  faces      -> batches, evaluation, report
    SCORES    one row per scored face      evaluation -> report, registry

A stage that breaks a schema fails at its own door: `spec.conform(table)` either returns the table
with exactly these columns and types, or says what is wrong with it. `spec.write` and `spec.read` do so too:
they are the only way that a table takes to storage and back, but for the row groups of face shards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dfray import storage
from dfray.errors import SchemaError, UserError, first_line

Row = dict[str, Any]
"""A row of a table: column -> value, as Arrow's `to_pylist` gives and `from_rows` takes it."""

REAL, FAKE = 0, 1
CATEGORIES = ("real", "FS", "RE", "TF", "fake")
"""Face swap, face reenactment, talking face (driven by a voice), and a fake whose kind is not known."""
SPLITS = ("train", "val", "test")
KINDS = ("video", "frames", "faces")
"""What a video is read from: a file, a folder of whole pictures, or a folder of face crops."""


@dataclass(frozen=True)
class Column:
    name: str
    type: pa.DataType
    doc: str
    nullable: bool = False
    default: str | int | None = None
    """Value for tables written before the column was added; none: such a table is refused."""
    is_added: bool = False
    """Tables written before the column was added have nulls in it."""


@dataclass(frozen=True)
class TableSpec:
    """A named set of columns; `schema` is its Arrow form, with each doc as field metadata."""

    name: str
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pa.Schema:
        return pa.schema(
            pa.field(c.name, c.type, nullable=c.nullable, metadata={"doc": c.doc})
            for c in self.columns
        )

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.columns]

    def conform(self, table: pa.Table, source: str = "table") -> pa.Table:
        """Return `table` with exactly this spec's columns, in order and cast to its types.

        Raises:
            SchemaError: a column is missing, has a type that cannot be cast, or has a null where
                none may be; the message names the column and `source`.
        """
        for column in self.columns:
            has_value = column.is_added or column.default is not None
            if column.name not in table.column_names and has_value:
                values = pa.repeat(pa.scalar(column.default, column.type), table.num_rows)
                table = table.append_column(column.name, values)
        missing = [name for name in self.names if name not in table.column_names]
        if missing:
            raise SchemaError(
                f"{source} is no {self.name} table: it lacks the column(s) {', '.join(missing)}.",
                f"It has {', '.join(table.column_names) or 'none'}.",
            )
        arrays = []
        for column in self.columns:
            values = table.column(column.name)
            try:
                values = values.cast(column.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise SchemaError(
                    f"{source}: column {column.name} is {values.type}, not {column.type}: {error}."
                ) from error
            if values.null_count and not column.nullable:
                raise SchemaError(
                    f"{source}: column {column.name} has {values.null_count} empty value(s).",
                    f"Every row needs one: {column.doc}.",
                )
            arrays.append(values)
        return pa.table(arrays, schema=self.schema)

    def from_rows(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        """Return a table of `rows`; keys outside the spec are left out, missing ones have their default."""
        columns = [[row.get(c.name, c.default) for row in rows] for c in self.columns]
        return pa.table(columns, schema=self.schema)

    def write(self, table: pa.Table, uri: str) -> None:
        """Write `table` as one Parquet file at `uri`, atomically.

        Raises:
            SchemaError: `table` does not conform.
            StorageError: `uri` cannot be written.
        """
        sink = pa.BufferOutputStream()
        pq.write_table(self.conform(table, uri), sink, compression="zstd", write_page_checksum=True)
        storage.write_bytes(sink.getvalue().to_pybytes(), uri)

    def read(self, uri: str) -> pa.Table:
        """Return the table in the Parquet file at `uri`, conformed.

        Raises:
            SchemaError: the file is not Parquet, is damaged, or its table does not conform.
            StorageError: `uri` cannot be read.
        """
        try:
            table = pq.read_table(
                pa.BufferReader(storage.read_bytes(uri)), page_checksum_verification=True
            )
        except (pa.ArrowException, OSError) as error:
            raise SchemaError(
                f"{uri} is not a Parquet file, or is damaged: {first_line(error)}."
            ) from error
        return self.conform(table, uri)


_IDENTIFYING = (
    Column("video_id", pa.string(), "dataset/method/stem, unique in a manifest"),
    Column("dataset", pa.string(), "corpus the video belongs to, such as ff++"),
    Column("split", pa.string(), "train, val or test"),
    Column("label", pa.int8(), "0 real, 1 fake"),
    Column(
        "category",
        pa.string(),
        "real, FS (face swap), RE (reenactment), TF (talking face), or fake (of unknown kind)",
    ),
    Column("method", pa.string(), "what made it, such as Deepfakes; the source's name if real"),
)

_PROVENANCE = (
    Column("uri", pa.string(), "where the video lies: a local path or s3://"),
    Column("source_video", pa.string(), "video_id of the real video a fake was made from", True),
    Column("identity", pa.string(), "who is seen; people must not cross splits", True),
    Column(
        "content",
        pa.string(),
        "stamp of the video's file, or of its folder, when this content was first listed; empty of a "
        "generated clip, or if an earlier dfray took its faces",
        nullable=True,
        is_added=True,
    ),
)


def _of_stream(name: str, kind: pa.DataType, doc: str) -> Column:
    return Column(name, kind, f"{doc}; empty if not stated, or of pictures", True, is_added=True)


_OF_STREAM = (
    _of_stream("codec", pa.string(), "codec, as FFmpeg names it, such as hevc"),
    _of_stream("width", pa.int32(), "width of the coded picture, px"),
    _of_stream("height", pa.int32(), "height of the coded picture, px"),
    _of_stream("fps", pa.float64(), "pictures a second, on average"),
    _of_stream("bit_rate", pa.int64(), "bits a second; of the container if only that is stated"),
    _of_stream("pixel_aspect", pa.float64(), "width of a coded pixel over its height"),
    _of_stream(
        "transfer",
        pa.string(),
        "transfer characteristics: bt709, smpte2084 (PQ), arib-std-b67 (HLG)",
    ),
    _of_stream(
        "interlacing",
        pa.string(),
        "progressive, interlaced (faces are as coded) or mixed, by the sampled frames",
    ),
    _of_stream("rotation_deg", pa.int16(), "turn of the coded picture, clockwise: 0, 90, 180, 270"),
)

VIDEOS = TableSpec(
    "videos",
    (
        *_IDENTIFYING,
        *_PROVENANCE,
        Column("duration_s", pa.float64(), "length in seconds, where the container tells it", True),
        Column("licence", pa.string(), "licence or terms of the corpus", True),
        Column(
            "kind", pa.string(), "video, or a folder of pictures: frames or faces", default="video"
        ),
        Column("stride", pa.int32(), "of a folder every so many-th picture is taken", default=1),
        Column("n_images", pa.int32(), "pictures taken of the folder; 0: a video", default=0),
        Column(
            "identity_group",
            pa.string(),
            "group of who is seen, as the corpus names it, such as women/African",
            True,
        ),
        Column(
            "attributes",
            pa.string(),
            "attributes of person or recording by which error rates are given: JSON, attribute -> value",
            nullable=True,
            is_added=True,
        ),
        Column(
            "stamp",
            pa.string(),
            "size and time of the file, or its ETag, when it was last listed: dfray.storage.stamps",
            nullable=True,
            is_added=True,
        ),
    ),
)

FACES = TableSpec(
    "faces",
    (
        *_IDENTIFYING,
        Column(
            "frame_index", pa.int32(), "k of the sampled frame: at a rate due at t0 + k / rate_fps"
        ),
        Column("time_s", pa.float64(), "presentation time of the picture, from t0, in seconds"),
        Column("face_index", pa.int16(), "rank of the face in its frame, the largest box first"),
        Column("score", pa.float32(), "the detector's confidence, 0..1; 1 if not detected"),
        Column("box", pa.list_(pa.float32(), 4), "x, y, w, h of the detection, px, upright frame"),
        Column(
            "crop",
            pa.list_(pa.int32(), 3),
            "x, y, side of the square cut out, px; of an aligned face the upright one about its middle",
        ),
        Column(
            "keypoints",
            pa.list_(pa.float32(), 12),
            "6 x (x, y), px: eyes, nose, mouth, ears; or NaN",
        ),
        Column(
            "landmarks",
            pa.list_(pa.float32()),
            "468 x (x, y) of MediaPipe's face mesh, px of the stored crop, from its upper left edge; "
            "empty if not asked for (faces.landmarks), or if the model doubts that it sees a face",
            True,
        ),
        Column("frame_width", pa.int32(), "width of the upright frame, px"),
        Column("frame_height", pa.int32(), "height of the upright frame, px"),
        Column("size_px", pa.int16(), "side of the stored crop, px"),
        Column("encoding", pa.string(), "rgb8 (raw uint8, row-major HWC) or jpeg"),
        Column("image", pa.binary(), "the crop's bytes"),
    ),
)

OUTCOMES = TableSpec(
    "outcomes",
    (
        Column("video_id", pa.string(), "the video the frame was sampled from"),
        Column("frame_index", pa.int32(), "k of the sampled frame"),
        Column("time_s", pa.float64(), "time of the picture from t0, in seconds", True),
        Column("outcome", pa.string(), "faces, no_face or decode_error"),
        Column("n_faces", pa.int16(), "faces found in the frame"),
        Column(
            "reason",
            pa.string(),
            "why the frame could not be decoded, or what is amiss with its time",
            nullable=True,
        ),
        Column(
            "n_doubtful",
            pa.int16(),
            "detections refused, as nothing confirmed them; empty before they were counted",
            nullable=True,
            is_added=True,
        ),
    ),
)

SUMMARIES = TableSpec(
    "summaries",
    (
        *_IDENTIFYING,
        *_PROVENANCE,
        Column("status", pa.string(), "ok, no_face, unreadable, crashed or timed_out"),
        Column(
            "reason",
            pa.string(),
            "why the video is not ok, or what is amiss with some of its frames",
            True,
        ),
        Column("attempts", pa.int8(), "how often the video was tried"),
        Column("n_frames", pa.int32(), "frames sampled"),
        Column("n_frames_with_face", pa.int32(), "sampled frames with at least one face"),
        Column("n_decode_errors", pa.int32(), "sampled frames that could not be decoded"),
        Column(
            "n_frames_doubtful",
            pa.int32(),
            "sampled frames with a doubtful face, which was refused; empty before they were counted",
            nullable=True,
            is_added=True,
        ),
        Column("n_faces", pa.int32(), "face crops kept"),
        Column("n_landmarks", pa.int32(), "of them with landmarks; empty if none asked for", True),
        Column("cpu_s", pa.float64(), "CPU seconds spent on the video"),
        Column(
            "digest",
            pa.string(),
            "of samples of the file's bytes, before it was read; empty of a remote file",
            nullable=True,
            is_added=True,
        ),
        Column(
            "faces_digest",
            pa.string(),
            "BLAKE2b of all its face crops, in order; empty without a face, or before it was computed",
            nullable=True,
            is_added=True,
        ),
        Column(
            "hashes",
            pa.list_(pa.uint64()),
            "pHash of the pictures of sampled frames 0, 1, 4, 16, 64, as far as it has them; null of a flat "
            "or damaged one; empty before they were computed",
            nullable=True,
            is_added=True,
        ),
        *_OF_STREAM,
        Column("shard", pa.string(), "file under faces/ that holds the crops", True),
        Column("first_row", pa.int64(), "row of the video's first crop in its shard"),
        Column(
            "shard_sha256",
            pa.string(),
            "SHA-256 of that file; empty before it was computed",
            nullable=True,
            is_added=True,
        ),
    ),
)

SCORES = TableSpec(
    "scores",
    (
        *_IDENTIFYING,
        Column("frame_index", pa.int32(), "k of the sampled frame"),
        Column("face_index", pa.int16(), "rank of the face in its frame"),
        Column("time_s", pa.float64(), "presentation time of the picture, from t0, in seconds"),
        Column("fake_probability", pa.float32(), "sum of the fake classes' probabilities, 0..1"),
        Column("embedding", pa.list_(pa.float32()), "the model's embedding of the face, D values"),
        Column(
            "sharpness",
            pa.float32(),
            "of the crop, as in faces.quality; empty before it was measured",
            nullable=True,
            is_added=True,
        ),
        Column(
            "brightness",
            pa.float32(),
            "mean luma of the crop, 0..255; empty before it was measured",
            nullable=True,
            is_added=True,
        ),
    ),
)


def refuse_test(table: pa.Table, choice: str) -> None:
    """Raise an error if a row is of the test split: everything that chooses or trains calls this first.

    Args:
        table: any table with a column `split`.
        choice: name of the value to be chosen, such as "A threshold".

    Raises:
        UserError: some rows are of the test split.
    """
    n_test = pc.sum(pc.equal(table["split"], "test")).as_py() or 0
    if n_test:
        raise UserError(
            f"{choice} would be chosen on test data ({n_test} of {table.num_rows} rows).",
            "Figures on data that made a choice are better than the detector is: use validation.",
        )
