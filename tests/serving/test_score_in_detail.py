"""A registered model writes a row for each face and a page, beside the scores that it always gives."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from dfray.errors import UserError
from dfray.serving.package import register
from dfray.serving.score_files import score_files
from dfray.serving.score_in_detail import Outputs, score_in_detail
from dfray.tracking.run import start_run
from tests.helpers.registry import section_of
from tests.helpers.tiny import FIGURES, RECIPE

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
    outputs = Outputs(str(rows), str(page), {str(clip): "real"})
    scores = score_in_detail(files, outputs, model_uri=model_uri, tracking_uri=tracking_uri)
    expected = score_files(files, model_uri=model_uri, tracking_uri=tracking_uri)
    assert scores[0].fake_probability == pytest.approx(expected[0].fake_probability, abs=1e-6)
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


def test_a_table_of_another_suffix_is_refused_before_any_work(
    tracking_uri: str, clip: Path, tmp_path: Path
) -> None:
    outputs = Outputs(frames=str(tmp_path / "faces.xlsx"))
    with pytest.raises(UserError, match=r"faces\.xlsx"):
        score_in_detail([str(clip)], outputs, model_uri="models:/none/1", tracking_uri=tracking_uri)


def test_an_odd_row_of_a_list_is_a_result_of_its_own_also_in_detail(
    model_uri: str, tracking_uri: str, clip: Path, tmp_path: Path
) -> None:
    names = tmp_path / "list.csv"
    names.write_text(f"uri,kind\n{clip},\n{clip},film\n")
    outputs = Outputs(str(tmp_path / "faces.csv"), str(tmp_path / "page.html"))
    detailed = score_in_detail(
        [str(names)], outputs, model_uri=model_uri, tracking_uri=tracking_uri
    )
    bare = score_files([str(names)], model_uri=model_uri, tracking_uri=tracking_uri)
    for sound, odd in (detailed, bare):
        assert (sound.input, sound.outcome) == (str(clip), "ok")
        assert (odd.input, odd.outcome) == (f"{names}, row 2", "unreadable")
        assert "is 'film'; it is video, frames or faces" in odd.reason
    assert f"{names}, row 2" in (tmp_path / "page.html").read_text()
