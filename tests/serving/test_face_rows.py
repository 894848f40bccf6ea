"""The table of faces is the same in every format, and every number in it can be read back."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from dfray.errors import UserError
from dfray.serving.examination import Examination, ScoredFace
from dfray.serving.face_rows import FACE_SCORES, face_scores, write_face_scores
from dfray.serving.media_score import Findings, MediaScore
from dfray.serving.score_table import FileScore, ScoringModel


def face(frame: int, person: int, time_s: float | None) -> ScoredFace:
    box = (10.0 * person, 20.0, 40.0, 50.0)
    return ScoredFace(frame, person, time_s, person, box, 640, 360, 0.25 * frame, 90.5, 120.0, 0.75)


def score(file: str, n_faces: int) -> FileScore:
    model = ScoringModel("faces", "1", "0" * 64, 0.5, "set by the recipe")
    return FileScore.of(file, MediaScore(Findings("ok", None, 2), 0.5, "fake", n_faces), model)


EXAMINATIONS = [
    Examination(score("=1+1.mp4", 3), [face(0, 0, 0.0), face(0, 1, 0.0), face(1, 0, 0.5)]),
    Examination(score("folder", 1), [face(0, 0, None)]),
    Examination(score("none.png", 0)),
]
TABLE = face_scores(EXAMINATIONS)


def test_there_is_one_row_for_each_face_in_the_order_of_inputs() -> None:
    assert TABLE.schema.equals(FACE_SCORES.schema)
    assert TABLE["input"].to_pylist() == ["=1+1.mp4"] * 3 + ["folder"]
    assert TABLE["person"].to_pylist() == [0, 1, 0, 0]
    assert TABLE["time_s"].to_pylist() == [0.0, 0.0, 0.5, None]
    assert TABLE.select(["box_x", "box_y", "box_w", "box_h", "face_px"]).to_pylist()[1] == {
        "box_x": 10, "box_y": 20, "box_w": 40, "box_h": 50, "face_px": 50,
    }  # fmt: skip


def test_parquet_and_lines_of_json_give_the_same_rows_back(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.jsonl"):
        write_face_scores(TABLE, str(tmp_path / name))
    assert FACE_SCORES.read(str(tmp_path / "a.parquet")).equals(TABLE)
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == TABLE.to_pylist()


def test_csv_has_a_head_and_no_name_that_a_spreadsheet_would_calculate(tmp_path: Path) -> None:
    write_face_scores(TABLE, str(tmp_path / "a.csv"))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    assert list(rows[0]) == FACE_SCORES.names
    assert [row["input"] for row in rows] == ["'=1+1.mp4"] * 3 + ["folder"]
    assert [float(row["fake_probability"]) for row in rows] == [0, 0, 0.25, 0]
    assert [row["time_s"] for row in rows] == ["0.0", "0.0", "0.5", ""]


def test_another_suffix_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.xlsx is no name.*\n?.*\.csv, \.jsonl, \.parquet"):
        write_face_scores(TABLE, str(tmp_path / "a.xlsx"))
    assert not list(tmp_path.iterdir())
