"""Tables travel through storage unchanged, and fail at the door of the stage if they break their schema."""

import pyarrow as pa
import pytest

from dfray import storage, tables
from dfray.errors import SchemaError, StorageError
from dfray.tables import SUMMARIES, VIDEOS
from tests.helpers.rows import video_row, videos_table

SPECS = [tables.VIDEOS, tables.FACES, tables.OUTCOMES, tables.SUMMARIES, tables.SCORES]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_column_says_what_it_is(spec):
    for field in spec.schema:
        assert len(field.metadata[b"doc"]) > 10
    assert len(set(spec.names)) == len(spec.names)


def test_conform_orders_casts_and_drops():
    table = videos_table([video_row()])
    shuffled = table.select(table.column_names[::-1]).append_column("more", pa.array([1]))
    wide = shuffled.set_column(
        shuffled.column_names.index("label"), "label", pa.array([0], pa.int64())
    )
    assert VIDEOS.conform(wide).equals(table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop_columns(["split", "label"]), "x.parquet .* lacks .* split, label"),
        (lambda t: t.set_column(3, "label", pa.array(["real"])), "column label is string"),
        (lambda t: t.set_column(3, "label", pa.array([None], pa.int8())), "label has 1 empty"),
    ],
)
def test_a_broken_table_is_refused_by_column(change, message):
    with pytest.raises(SchemaError, match=message):
        VIDEOS.conform(change(videos_table([video_row()])), "x.parquet")


def test_a_table_from_before_a_column_came_is_read_with_its_default():
    table = videos_table([video_row()]).drop_columns(["kind", "stride", "n_images"])
    (row,) = VIDEOS.conform(table).to_pylist()
    assert (row["kind"], row["stride"], row["n_images"]) == ("video", 1, 0)


def test_a_summary_from_before_videos_told_their_properties_has_none_of_them():
    summary = video_row() | {
        "status": "ok",
        "attempts": 1,
        "n_frames": 2,
        "n_frames_with_face": 2,
        "n_decode_errors": 0,
        "n_faces": 2,
        "cpu_s": 0.5,
        "first_row": 0,
        "codec": "h264",
    }
    added = [column.name for column in SUMMARIES.columns if column.is_added]
    table = SUMMARIES.from_rows([summary])
    assert table["codec"].to_pylist() == ["h264"]
    (row,) = SUMMARIES.conform(table.drop_columns(added)).to_pylist()
    assert {name: row[name] for name in added} == dict.fromkeys(added)


@pytest.fixture(params=["local", "s3"])
def uri(request, tmp_path):
    place = str(tmp_path) if request.param == "local" else request.getfixturevalue("bucket")
    return storage.join(place, "a folder", "videos.parquet")


def test_a_table_is_read_as_it_was_written(uri):
    table = videos_table([video_row("a"), video_row("b", split="test")])
    VIDEOS.write(table.append_column("more", pa.array([1, 2])), uri)
    assert VIDEOS.read(uri).equals(table)


def test_a_broken_table_is_not_written(tmp_path):
    uri = str(tmp_path / "videos.parquet")
    with pytest.raises(SchemaError, match=r"videos.parquet is no videos table: .* label"):
        VIDEOS.write(videos_table([video_row()]).drop_columns(["label"]), uri)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_parquet_is_refused_by_its_name(tmp_path):
    (tmp_path / "videos.parquet").write_text("no table")
    with pytest.raises(SchemaError, match=r"videos.parquet is not a Parquet file"):
        VIDEOS.read(str(tmp_path / "videos.parquet"))
    with pytest.raises(StorageError, match="none.parquet"):
        VIDEOS.read(str(tmp_path / "none.parquet"))
