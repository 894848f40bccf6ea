"""A registered model writes a row for each face and a page, beside the scores that it always gives."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from dfray.errors import UserError
from dfray.serving.package import register
from dfray.serving.score_files import Workers, score_files, scores_of
from dfray.serving.score_outputs import Outputs
from dfray.tracking.run import start_run
from tests.helpers.registry import section_of
from tests.helpers.tiny import FIGURES, RECIPE, png, portrait

NAME = "in-detail"


@pytest.fixture(scope="module")
def model_uri(tracking_uri: str, bundle_dir: Path) -> str:
    recipe = RECIPE.model_copy(update={"registry": section_of(NAME)})
    with start_run(recipe, tracking_uri, manifest_fingerprint="m") as run:
        version = register(
            bundle_dir,
            section=recipe.registry,
            tracking_uri=tracking_uri,
            run_id=run.run_id,
            registration="only",
            metrics=FIGURES,
        )
    return f"models:/{NAME}/{version}"


def test_scores_rows_and_page_are_of_the_same_faces(
    model_uri: str, tracking_uri: str, clip: Path, tmp_path: Path
) -> None:
    rows, page = tmp_path / "faces.jsonl", tmp_path / "page.html"
    files = [str(clip), str(tmp_path / "gone.mp4")]
    outputs = Outputs(None, str(rows), str(page), {str(clip): "real"})
    place = {"model_uri": model_uri, "tracking_uri": tracking_uri}
    scores = list(scores_of(files, outputs, **place))
    expected = score_files(files, model_uri=model_uri, tracking_uri=tracking_uri)
    assert scores[0].fake_probability == expected[0].fake_probability
    assert [(s.outcome, s.label, s.n_faces, s.reason) for s in scores] == [
        (s.outcome, s.label, s.n_faces, s.reason) for s in expected
    ]
    faces = [json.loads(line) for line in rows.read_text().splitlines()]
    assert len(faces) == scores[0].n_faces
    html = page.read_text()
    for words in (
        hashlib.sha256(clip.read_bytes()).hexdigest(),
        f"{NAME} version",
        "Not as proof, and not as the only ground of a decision about a person.",
        "No such file or directory",
        "the file could not be read",
    ):
        assert words in html
    assert html.count("h264") == 1


@pytest.mark.parametrize(
    ("outputs", "fault"),
    [
        (Outputs(frames="faces.xlsx"), r"--frames faces\.xlsx has none of the suffixes .parquet"),
        (Outputs(out="a.csv", frames="./a.csv"), r"name one file: \S+/a.csv. Give each"),
    ],
)
def test_outputs_that_cannot_be_are_refused_before_any_work(
    outputs: Outputs, fault: str, tracking_uri: str
) -> None:
    with pytest.raises(UserError, match=fault):
        list(scores_of([], outputs, model_uri="models:/none/1", tracking_uri=tracking_uri))


def test_a_page_is_made_by_one_process(tracking_uri: str) -> None:
    for workers in (Workers(2), Workers(None, "127.0.0.1:1")):
        scores = scores_of([], Outputs(report="p.html"), tracking_uri=tracking_uri, workers=workers)
        with pytest.raises(UserError, match="--report is made by one process"):
            list(scores)


def test_an_odd_row_of_a_list_is_a_result_of_its_own_also_in_detail(
    model_uri: str, tracking_uri: str, clip: Path, tmp_path: Path
) -> None:
    names = tmp_path / "list.csv"
    names.write_text(f"uri,kind\n{clip},\n{clip},film\n")
    outputs = Outputs(None, str(tmp_path / "faces.csv"), str(tmp_path / "page.html"))
    detailed = scores_of([str(names)], outputs, model_uri=model_uri, tracking_uri=tracking_uri)
    bare = score_files([str(names)], model_uri=model_uri, tracking_uri=tracking_uri)
    for sound, odd in (detailed, bare):
        assert (sound.input, sound.outcome) == (str(clip), "ok")
        assert (odd.input, odd.outcome) == (f"{names}, row 2", "unreadable")
        assert "is 'film'; it is video, frames or faces" in odd.reason
    assert f"{names}, row 2" in (tmp_path / "page.html").read_text()


def test_with_out_an_input_is_examined_once_and_a_page_is_of_those_that_were_missing(
    model_uri: str, tracking_uri: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out, rows, page = (str(tmp_path / name) for name in ("out.csv", "faces.jsonl", "page.html"))
    place = {"model_uri": model_uri, "tracking_uri": tracking_uri}
    gone, picture = str(tmp_path / "gone.mp4"), tmp_path / "face.png"
    picture.write_bytes(png(portrait()))
    (first,) = scores_of([str(clip)], Outputs(out), **place)
    earlier = Counter[str]()
    again = scores_of([str(clip), gone], Outputs(out, rows, earlier=earlier), **place)
    assert [score.input for score in again] == [str(clip), gone], "its faces were not kept"
    assert earlier == {}
    outputs = Outputs(out, rows, page, earlier=earlier)
    third = list(scores_of([str(clip), gone, str(picture)], outputs, **place))
    assert [score.input for score in third] == [str(picture)]
    assert earlier == {"ok": 1, "unreadable": 1}
    html = Path(page).read_text()
    assert (
        f"2 input(s) were scored before this page was made, and are not on it: their scores are in {out}"
        in html
    )
    faces = [json.loads(line)["input"] for line in Path(rows).read_text().splitlines()]
    assert Counter(faces) == {str(clip): first.n_faces, str(picture): 1}
    with open(out, newline="") as file:
        assert [row["input"] for row in csv.DictReader(file)] == [str(clip), gone, str(picture)]
    assert list(scores_of([str(clip)], outputs, **place)) == []
    assert Path(page).read_text() == html
    assert f"{page} is not written" in capsys.readouterr().err
