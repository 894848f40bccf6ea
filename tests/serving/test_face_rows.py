"""The table of faces has a row for each face of an examination."""

from __future__ import annotations

from dfray.serving.examination import Examination, ScoredFace
from dfray.serving.face_rows import FACE_SCORES, face_rows
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
TABLE = FACE_SCORES.from_rows([row for seen in EXAMINATIONS for row in face_rows(seen)])


def test_there_is_one_row_for_each_face_in_the_order_of_inputs() -> None:
    assert TABLE.schema.equals(FACE_SCORES.schema)
    assert TABLE["input"].to_pylist() == ["=1+1.mp4"] * 3 + ["folder"]
    assert set(TABLE["model"].to_pylist()) == {"faces"}
    assert set(TABLE["checksum"].to_pylist()) == {"0" * 64}
    assert TABLE["person"].to_pylist() == [0, 1, 0, 0]
    assert TABLE["time_s"].to_pylist() == [0.0, 0.0, 0.5, None]
    assert TABLE.select(["box_x", "box_y", "box_w", "box_h", "face_px"]).to_pylist()[1] == {
        "box_x": 10, "box_y": 20, "box_w": 40, "box_h": 50, "face_px": 50,
    }  # fmt: skip
