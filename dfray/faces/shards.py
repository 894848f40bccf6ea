"""Where faces lie: Parquet shards that become visible only by an atomic commit.

    <uri>/extraction.json        the settings that made the faces; others are refused
    <uri>/writer                 the run that may commit: the last that claimed the store
    <uri>/faces/<id>.parquet     FACES, all rows of a video together, 64 rows to a row group
    <uri>/outcomes/<id>.parquet  OUTCOMES of the same videos
    <uri>/videos/<id>.parquet    SUMMARIES of the same videos: the commit record, written last

A shard without its commit record does not exist: readers start from `videos/`, so a killed writer
leaves nothing half done. An actor can outlive its run for a while, and the next run plans its videos anew:
so only the run that claimed the store last may commit, and no video is there twice.
Every shard holds videos of one split, so evaluation reads only test faces.
Pixels are raw bytes in a binary column under lz4: lossless, and read several times faster than PNG.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dfray import storage
from dfray.config import FacesSection
from dfray.errors import SchemaError, StorageError, UserError
from dfray.tables import FACES, OUTCOMES, SUMMARIES, TableSpec

T = TypeVar("T")

_NEVER_ALIKE = ("image", "box", "keypoints", "landmarks")
ROW_GROUP = 64
"""Rows in every row group of a shard but the last: row r lies in group r // ROW_GROUP."""


class FacesStore:
    """The faces written under one URI; cheap to make, picklable, reads nothing until asked."""

    def __init__(self, uri: str) -> None:
        self.uri = storage.absolute(uri)
        self._claim: str | None = None

    def shard_uri(self, shard: str) -> str:
        return storage.join(self.uri, "faces", f"{shard}.parquet")

    def is_committed(self, shard: str) -> bool:
        return storage.exists(storage.join(self.uri, "videos", f"{shard}.parquet"))

    def summaries(self, splits: Sequence[str] | None = None) -> pa.Table:
        """SUMMARIES of every committed video, of all splits or of those named."""
        return self._read_all("videos", SUMMARIES, splits)

    def shard_summaries(self, shard: str) -> pa.Table:
        """SUMMARIES of the videos of one committed shard."""
        return SUMMARIES.read(storage.join(self.uri, "videos", f"{shard}.parquet"))

    def outcomes(self) -> pa.Table:
        """OUTCOMES of every sampled frame of every committed video."""
        return self._read_all("outcomes", OUTCOMES, None)

    def shards(self, split: str) -> list[str]:
        """URIs of the shards that hold the faces of `split`, in the order of their names."""
        table = self.summaries([split])
        table = table.filter(pc.greater(table["n_faces"], 0))
        names = table["shard"].unique().to_pylist()
        return [self.shard_uri(name) for name in sorted(names)]

    def fingerprint(self, split: str | None = None) -> str:
        """16 hex digits naming the faces of a split (or all): which videos, made how, how many."""
        import hashlib

        table = self.summaries([split] if split else None).sort_by("video_id")
        digest = hashlib.sha256(json.dumps(self._settings_kept()).encode())
        for video, faces in zip(
            table.column("video_id").to_pylist(), table.column("n_faces").to_pylist(), strict=True
        ):
            digest.update(f"{video}\0{faces}\n".encode())
        return digest.hexdigest()[:16]

    def claim(self, settings: FacesSection) -> None:
        """Become the one that may commit; bind the store to `settings` or make sure that it is.

        Raises:
            UserError: the faces there were made with other settings; both values are named.
        """
        path = storage.join(self.uri, "extraction.json")
        mine = settings.shaping()
        if not storage.exists(path):
            storage.write_bytes(json.dumps(mine, indent=2, sort_keys=True).encode(), path)
        theirs = FacesSection().shaping() | self._settings_kept()  # older ones lack newer keys
        if theirs != mine:
            keys = sorted(k for k in mine.keys() | theirs.keys() if mine.get(k) != theirs.get(k))
            told = ", ".join(f"faces.{k} {theirs.get(k)!r} (now {mine.get(k)!r})" for k in keys)
            raise UserError(
                f"The faces under {self.uri} were extracted with other settings: {told}.",
                "Go back to those settings, or name another place for the faces.",
            )
        self._claim = uuid.uuid4().hex
        storage.write_bytes(self._claim.encode(), self._writer_uri)

    def require_claim(self) -> None:
        """Make sure that nobody has claimed the store since this object (or what it was copied from).

        Raises:
            StorageError: somebody has, or this one never did.
        """
        if storage.read_bytes(self._writer_uri).decode() != self._claim:
            raise StorageError(
                f"Another run that began later extracts faces into {self.uri}.",
                "Let one run at a time write there; what this one has finished is kept.",
            )

    @property
    def _writer_uri(self) -> str:
        return storage.join(self.uri, "writer")

    def _settings_kept(self) -> dict:
        return json.loads(storage.read_bytes(storage.join(self.uri, "extraction.json")))

    def _read_all(self, folder: str, spec: TableSpec, splits: Sequence[str] | None) -> pa.Table:
        import pyarrow.dataset

        committed = storage.list_files(storage.join(self.uri, "videos"), ".parquet")
        names = [uri.rsplit("/", 1)[-1] for uri in committed]
        wanted = [n for n in names if splits is None or n.rsplit("-", 1)[0] in splits]
        if not wanted:
            return spec.schema.empty_table()
        fs, path = storage.arrow_filesystem(storage.join(self.uri, folder))
        files = pyarrow.dataset.dataset(
            [f"{path}/{name}" for name in wanted],
            schema=spec.schema,
            format="parquet",
            filesystem=fs,
        )
        return storage.attempt(files.to_table, self.uri, "read")


class ShardWriter:
    """Collects the rows of one shard in a local temporary folder, and commits them together.

    As a context it leaves nothing behind: what was not committed is dropped.
    """

    def __init__(self, store: FacesStore, shard: str, settings: FacesSection) -> None:
        self.store, self.shard = store, shard
        self._folder = tempfile.TemporaryDirectory(prefix="dfray-shard-")
        self._faces_path = os.path.join(self._folder.name, "faces.parquet")
        pixels = {"lz4": "lz4", "zstd": "zstd", "jpeg": "none"}[settings.storage]
        compression = dict.fromkeys(FACES.names, "zstd") | {"image": pixels}
        self._writer: pq.ParquetWriter = self._locally(
            pq.ParquetWriter,
            self._faces_path,
            FACES.schema,
            compression=compression,
            compression_level={"image": 1} if pixels == "zstd" else None,
            use_dictionary=[n for n in FACES.names if n not in _NEVER_ALIKE],
            write_statistics=["video_id", "split"],
        )
        self._pending: list[dict] = []
        self._summaries: list[dict] = []
        self._outcomes: list[dict] = []
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def size_bytes(self) -> int:
        """Bytes of faces on disk so far."""
        return os.path.getsize(self._faces_path)

    def add_face(self, row: dict) -> None:
        self._pending.append(row)
        self.rows += 1
        if len(self._pending) == ROW_GROUP:
            self._flush()

    def add_outcome(self, row: dict) -> None:
        self._outcomes.append(row)

    def add_summary(self, row: dict) -> None:
        self._summaries.append(row)

    def commit(self) -> pa.Table:
        """Make the shard visible, and return its SUMMARIES.

        Raises:
            StorageError: the store or the local temporary folder is full or may not be written, or
                another run has claimed the store.
        """
        self._flush()
        self._locally(self._writer.close)
        summaries = SUMMARIES.from_rows(self._summaries)
        if self.rows:
            storage.put(self._faces_path, self.store.shard_uri(self.shard))
        OUTCOMES.write(OUTCOMES.from_rows(self._outcomes), self._uri("outcomes"))
        self.store.require_claim()
        SUMMARIES.write(summaries, self._uri("videos"))
        self.close()
        return summaries

    def close(self) -> None:
        """Leave nothing behind; what was not committed is dropped."""
        with contextlib.suppress(OSError):  # a full disk has been told of
            self._writer.close()
        self._folder.cleanup()

    def _flush(self) -> None:
        if self._pending:
            faces = FACES.from_rows(self._pending)
            self._locally(self._writer.write_table, faces, row_group_size=ROW_GROUP)
            self._pending = []

    def _uri(self, folder: str) -> str:
        return storage.join(self.store.uri, folder, f"{self.shard}.parquet")

    def _locally(self, write: Callable[..., T], *args: Any, **options: Any) -> T:
        return storage.attempt(lambda: write(*args, **options), self._folder.name, "write")


def iter_row_groups(uri: str, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The row groups of a shard, one at a time, in order."""
    file = open_shard(uri)
    for group in range(file.num_row_groups):
        yield storage.attempt(partial(file.read_row_group, group, columns=columns), uri, "read")


def open_shard(uri: str) -> pq.ParquetFile:
    fs, path = storage.arrow_filesystem(uri)
    return storage.attempt(lambda: pq.ParquetFile(path, filesystem=fs), uri, "read")


def encode_image(image: np.ndarray, settings: FacesSection) -> tuple[str, bytes]:
    """The `encoding` and bytes of a crop.

    Args:
        image: uint8 (S, S, 3), RGB.
    """
    if settings.storage != "jpeg":
        return "rgb8", image.tobytes()
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=settings.jpeg_quality, subsampling=0)
    return "jpeg", buffer.getvalue()


def decode_images(table: pa.Table) -> np.ndarray:
    """The crops of FACES rows (columns image, encoding, size_px) as uint8 (N, S, S, 3), RGB.

    Raises:
        SchemaError: sizes differ, or a crop has not the bytes that its size asks for.
    """
    if table.num_rows == 0:
        return np.zeros((0, 0, 0, 3), np.uint8)
    sizes = table.column("size_px").unique().to_pylist()
    encodings = table.column("encoding").unique().to_pylist()
    if len(sizes) != 1 or len(encodings) != 1:
        raise SchemaError(f"Crops of several sizes or encodings in one batch: {sizes} {encodings}.")
    size = sizes[0]
    column = table.column("image")
    images = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()  # which copies
    if encodings[0] == "jpeg":
        return np.stack([_decode_jpeg(image.as_buffer(), size) for image in images])
    offsets = np.frombuffer(images.buffers()[1], np.int32)[
        images.offset : images.offset + len(images) + 1
    ]
    if np.any(np.diff(offsets) != size * size * 3):
        raise SchemaError(
            f"A crop does not have the {size * size * 3} bytes of {size} x {size} px."
        )
    data = np.frombuffer(images.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    return data.reshape(len(images), size, size, 3)


def _decode_jpeg(data: pa.Buffer, size: int) -> np.ndarray:
    from PIL import Image

    image = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    if image.shape != (size, size, 3):
        raise SchemaError(f"A crop is {image.shape[1]} x {image.shape[0]} px, not {size} x {size}.")
    return image


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
