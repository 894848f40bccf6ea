"""`dfray score` by the champion of a run: its lines, files and exit codes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.helpers.commands import Command, dfray_process


@pytest.mark.ray
def test_score_prints_json_that_parses_and_tells_a_missing_file_by_its_exit_code(
    promoted_run: Path, dfray: Command
) -> None:
    """The first in a process of its own: no word of MLflow, torch or MediaPipe gets through."""
    clip = next((promoted_run / "corpus" / "test" / "real").iterdir()).relative_to(promoted_run)
    registry = {"MLFLOW_TRACKING_URI": f"sqlite:///{promoted_run}/mlflow.db"}
    done = dfray_process(promoted_run, "score", str(clip), "--json", **registry)
    assert (done.code, done.err) == (0, "")
    score = json.loads(done.out)
    assert score["input"] == str(promoted_run / clip)
    assert 0 <= score["fake_probability"] <= 1
    both = dfray(promoted_run, "score", str(clip), "gone.mp4", **registry)
    assert both.code == 1
    first, second = both.out.splitlines()[1:3]
    assert first.endswith(f"  {promoted_run / clip}")
    assert f"  {promoted_run / 'gone.mp4'}  (" in second
    assert second.rstrip().endswith("No such file or directory)")


@pytest.mark.ray
def test_score_takes_a_folder_keeps_its_scores_and_started_again_does_what_is_missing(
    promoted_run: Path, dfray: Command, tmp_path: Path
) -> None:
    clips = sorted((promoted_run / "corpus" / "test").rglob("*.mp4"))
    registry = {"MLFLOW_TRACKING_URI": f"sqlite:///{promoted_run}/mlflow.db"}
    out = tmp_path / "scores.csv"
    first = dfray(promoted_run, "score", str(clips[0]), "--out", str(out), **registry)
    assert first.code == 0, first.err
    again = dfray(promoted_run, "score", "corpus/test", "--out", str(out), "--json", **registry)
    assert again.code == 0, again.err
    assert [json.loads(line)["input"] for line in again.out.splitlines()] == [
        str(clip) for clip in clips[1:]
    ]
    assert f"{len(clips) - 1} input(s) scored and added to {out}; 1 were there." in again.err
    words = ("score", "gone.mp4", "corpus/test", "--out", str(out))
    assert dfray(promoted_run, *words, **registry).code == 1
    told = dfray(promoted_run, *words, **registry)
    assert told.code == 1, "the input could not be read in the run before"
    assert "of which 1 could not be read: remove their rows to try again." in told.err
    with out.open(newline="") as file:
        names = sorted(row["input"] for row in csv.DictReader(file))
    assert names == sorted(map(str, [*clips, promoted_run / "gone.mp4"]))


@pytest.mark.ray
def test_score_writes_a_row_for_each_face(promoted_run: Path, dfray: Command) -> None:
    clip = next((promoted_run / "corpus" / "test" / "real").iterdir()).relative_to(promoted_run)
    registry = {"MLFLOW_TRACKING_URI": f"sqlite:///{promoted_run}/mlflow.db"}
    words = ["score", str(clip), "--json", "--frames"]
    done = dfray(promoted_run, *words, "faces.jsonl", **registry)
    assert done.code == 0, done.err
    score = json.loads(done.out)
    rows = [json.loads(line) for line in (promoted_run / "faces.jsonl").read_text().splitlines()]
    assert len(rows) == score["n_faces"] > 0
    assert {row["input"] for row in rows} == {str(promoted_run / clip)}
    mean = sum(row["fake_probability"] for row in rows) / len(rows)
    assert mean == pytest.approx(score["fake_probability"], abs=1e-6)
    refused = dfray(promoted_run, *words, "faces.xlsx", **registry)
    assert refused.code != 0
    assert "--frames faces.xlsx has none of the suffixes .parquet, .csv, .jsonl." in refused.err
