"""Properties of videos: as stored, derived from what is stored, or null."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dfray.evaluation.properties import PROPERTIES, video_properties
from dfray.tables import SUMMARIES
from tests.helpers.rows import video_row

PLAIN = {"status": "ok", "attempts": 1, "n_frames": 20, "n_frames_with_face": 1}
PLAIN |= {"n_decode_errors": 0, "n_faces": 2, "cpu_s": 0.1, "first_row": 0}
STREAM = {"codec": "h264", "width": 100, "height": 50, "fps": 10.0, "bit_rate": 25_000}


def properties(*rows: dict, rate_fps: float | None = 2.0, **options) -> list[dict]:
    summaries = SUMMARIES.from_rows([PLAIN | row for row in rows])
    boxes = pa.table(
        {
            "video_id": ["toy/camera/a"] * 3,
            "time_s": [0.0, 7.5, 3.0],
            "box": pa.array(
                [[0, 0, 10, 12], [0, 0, 30, 20], [0, 0, 8, 8]], pa.list_(pa.float32(), 4)
            ),
        }
    )
    return video_properties(summaries, boxes, rate_fps, **options).to_pylist()


def test_size_length_and_quality_are_derived() -> None:
    (row,) = properties(video_row("a", content="4000-17", **STREAM))
    assert row["face_px"] == 12
    assert row["length_s"] == 10.0
    assert row["quality"] == pytest.approx(0.5)
    assert (row["file_bytes"], row["codec"]) == (4000, "h264")


def test_a_folder_of_pictures_has_no_stream() -> None:
    (row,) = properties(video_row("b", content="17446744073709551615-17"))
    unknown = [prop.name for prop in PROPERTIES if row[prop.name] is None]
    assert unknown == [prop.name for prop in PROPERTIES if prop.name != "length_s"]


def test_lengths_of_headers_count_if_all_are_known() -> None:
    rows = [video_row("a"), video_row("b")]
    lengths = {"toy/camera/a": 9.6, "toy/camera/b": 9.8}
    assert [row["length_s"] for row in properties(*rows, durations=lengths)] == [9.6, 9.8]
    assert [row["length_s"] for row in properties(*rows, durations={"toy/camera/a": 9.6})] == [
        10
    ] * 2


def test_the_length_of_a_fixed_number_of_frames_is_the_time_of_the_last_face() -> None:
    rows = properties(video_row("a"), video_row("b"), rate_fps=None)
    assert [row["length_s"] for row in rows] == [7.5, None]


def test_videos_without_a_face_have_no_row() -> None:
    assert properties(video_row("a", n_faces=0)) == []
