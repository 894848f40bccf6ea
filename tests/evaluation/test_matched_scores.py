"""Each video of the truth has a row, with or without a score, and all that does not match is told."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from dfray.errors import UserError
from dfray.evaluation.given_scores import read_given_scores
from dfray.evaluation.given_truth import read_labels, truths_of_manifest
from dfray.evaluation.matched_scores import MatchedScores, match_scores


def match(folder: Path, scores: str, labels: str) -> MatchedScores:
    (folder / "scores.csv").write_text(scores)
    (folder / "labels.csv").write_text(labels)
    given = read_given_scores(str(folder / "scores.csv"))
    return match_scores(given, read_labels(str(folder / "labels.csv"), "test"), "test")


def test_rows_are_matched_by_place_and_mismatches_are_counted(tmp_path: Path) -> None:
    scores = f"uri,score\n{tmp_path}/a,0.9\nb,\n/x,0.1\n/y,0.1\n/z,0.1\n/w,0.1\n/x,0.1\n"
    labels = "uri,label,split\nb,real,\na,fake,\na,fake,\nc,real,\nd,real,val\n"
    found = match(tmp_path, scores, labels)
    rows = [
        (row["video_id"], row["label"], row["fake_probability"], row["status"], row["split"])
        for row in found.videos.to_pylist()
    ]
    assert rows == [
        (f"{tmp_path}/a", 1, 0.9, "ok", "test"),
        (f"{tmp_path}/b", 0, None, "unreadable", "test"),
        (f"{tmp_path}/c", 0, None, "not_extracted", "test"),
    ]
    assert found.mismatches == (
        "1 label(s) have no row among the scores; they count as videos without a score: "
        f"{tmp_path}/c.",
        "4 score(s) have no label and are left out: /x, /y, /z and 1 more.",
        "1 label(s) are there twice, and count once.",
        "1 score(s) are there twice, and count once.",
        "1 label(s) are of the val split, not of test: left out.",
    )


def test_a_csv_of_dfray_is_matched_although_it_has_no_control_character(tmp_path: Path) -> None:
    from dfray.text import csv_text

    odd = f"{tmp_path}/bell\x07.mp4"
    assert csv_text(odd) != odd
    found = match(tmp_path, f"uri,score\n{csv_text(odd)},0.5\n", f"uri,label\n{odd},real\n")
    assert found.videos["fake_probability"].to_pylist() == [0.5]
    assert found.mismatches == ()


def test_nothing_that_matches_is_refused_with_names_of_both_sides(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"No video has both .*scores.csv has /a, the labels /b\. N"
    ):
        match(tmp_path, "uri,score\n/a,0.1\n", "uri,label\n/b,real\n")


def test_a_file_that_a_manifest_lists_in_two_datasets_has_its_score_in_both(tmp_path: Path) -> None:
    columns = {"uri": "/a", "label": 0, "category": "real", "method": "real", "split": "test"}
    rows = [
        columns | {"video_id": f"{name}/real/a", "dataset": name} for name in ("first", "second")
    ]
    truths = truths_of_manifest(pa.Table.from_pylist(rows), "test", "manifest")
    (tmp_path / "scores.csv").write_text("uri,score\n/a,0.25\n")
    found = match_scores(read_given_scores(str(tmp_path / "scores.csv")), truths, "test")
    assert found.videos["dataset"].to_pylist() == ["first", "second"]
    assert found.videos["fake_probability"].to_pylist() == [0.25, 0.25]
    assert found.copies == {"second/real/a"}
    assert found.mismatches == ()
