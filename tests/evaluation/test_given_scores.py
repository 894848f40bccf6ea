"""Scores in a file are read as those of one detector, each a probability or none, or are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.errors import UserError
from dfray.evaluation.given_scores import GivenScore, read_given_scores


def read(folder: Path, text: str, **options):
    (folder / "third.csv").write_text(text)
    return read_given_scores(str(folder / "third.csv"), **options)


def test_two_columns_are_enough(tmp_path: Path) -> None:
    given = read(tmp_path, "uri,score\na.mp4,0.25\n/b.mp4,\ns3://c/d.mp4,nan\na.mp4,0.25\n")
    assert (given.detector, given.threshold, given.threshold_origin) == (
        "third",
        0.5,
        "not stated with the scores",
    )
    assert given.by_key == {
        str(tmp_path / "a.mp4"): GivenScore(0.25, "ok", None, 0),
        "/b.mp4": GivenScore(None, "unreadable", "score is empty", 0),
        "s3://c/d.mp4": GivenScore(None, "unreadable", "score is empty", 0),
    }
    assert given.n_repeated == 1
    assert read(tmp_path, "uri,score\na,1\n", threshold=0.75).threshold == 0.75


def test_scores_of_dfray_state_model_threshold_and_why_there_is_none(tmp_path: Path) -> None:
    head = "input,model,version,checksum,threshold,threshold_origin,fake_probability,outcome,reason,n_faces\n"
    model = "det,3,abc,0.4,fitted"
    rows = (
        f"/a,{model},0.9,ok,,7\n/b,{model},,no_face,no face in 4 frame(s),0\n/c,{model},,odd,,0\n"
    )
    given = read(tmp_path, head + rows)
    assert (given.detector, given.threshold, given.threshold_origin) == (
        "models:/det/3",
        0.4,
        "fitted",
    )
    assert given.by_key == {
        "/a": GivenScore(0.9, "ok", None, 7),
        "/b": GivenScore(None, "no_face", "no face in 4 frame(s)", 0),
        "/c": GivenScore(None, "unreadable", "odd", 0),
    }
    other = rows.replace("det,3", "det,4").replace("/", "/x/")
    with pytest.raises(
        UserError, match=r"of 2 models: models:/det/3, threshold 0.4: 3 row\(s\); m"
    ):
        read(tmp_path, head + rows + other)


def test_numbers_of_faces_may_be_empty_or_have_a_decimal_point(tmp_path: Path) -> None:
    given = read(tmp_path, "uri,score,n_faces\n/a,0.5,3.0\n/b,0.5,\n/c,0.5,nan\n")
    assert [score.n_faces for score in given.by_key.values()] == [3, 0, 0]


def test_rows_of_a_video_with_one_score_need_not_agree_in_the_rest(tmp_path: Path) -> None:
    given = read(tmp_path, "uri,score,outcome\n/a,,no_face\n/a,,timed_out\n")
    assert given.by_key == {"/a": GivenScore(None, "no_face", "no face", 0)}
    assert given.n_repeated == 1


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("uri,score\na,1.2\n", r"row 1: score is '1.2', which is no number in 0..1. .*sigmoid"),
        ("uri,score\na,0\nb,high\n", r"row 2: score is 'high', which is no number"),
        ("uri,score\na,-inf\n", r"row 1: score is '-inf'"),
        ("uri,score,n_faces\na,0,many\n", r"row 1: n_faces is 'many', which is no number of faces"),
        ("uri,score,n_faces\na,0,2.5\n", r"row 1: n_faces is '2.5', which is no number of faces"),
        ("uri,score\na,0.1\na,0.2\n", r"row 2: \S+/a has two scores, 0.1 and 0.2. Keep one"),
        ("uri,score\n,0.1\n", r"row 1: '' names no video"),
        ("uri,score\n ,0.1\n", r"row 1: ' ' names no video"),
        ("uri,logit\na,0.1\n", r"has no column fake_probability or score"),
        ("uri,score\n", r"third.csv has no rows"),
    ],
)
def test_scores_that_are_none_are_refused_by_row_and_value(
    text: str, fault: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=fault):
        read(tmp_path, text)
