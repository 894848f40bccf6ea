"""The page is one file that loads and runs nothing, and every name in it is text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dfray.models.bundle import Bundle
from dfray.serving import score_page
from dfray.serving.examination import Examination, ScoredFace
from dfray.serving.kept_faces import KeptFace
from dfray.serving.page_model import PageModel
from dfray.serving.score_page import ScorePage, section_of
from dfray.serving.score_pictures import wanted_of
from tests.helpers.examined import file_score
from tests.helpers.tiny import save_bundle

ODD = "/a/<script>alert(1)</script>&\"'.mp4"
CROP = np.full((64, 64, 3), 99, np.uint8)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.load(save_bundle(tmp_path_factory.mktemp("bundle")))


def examination(file: str, probability: float | None) -> Examination:
    """One of two persons in four frames; without a score one without a face."""
    score = file_score(
        file, probability, n_faces=8, reason="no face in any frame" if probability is None else None
    )
    if probability is None:
        return Examination(score)
    faces = [
        ScoredFace(k, who, k / 2, who, (9 * who, 9, 40, 40), 320, 240, probability, 50, 100, 0.9)
        for k in range(4)
        for who in range(2)
    ]
    kept = {
        number: KeptFace(CROP, (0, 0, 64), np.full((60, 80, 3), 9, np.uint8))
        for number in range(len(faces))
    }
    return Examination(score, faces, kept, Counter(faces=4))


@pytest.fixture
def page_of(bundle: Bundle, tmp_path: Path) -> Callable[..., str]:
    def write(*inputs: Examination, truth: str | None = None) -> str:
        page = ScorePage()
        for number, seen in enumerate(inputs):
            page.add(
                section_of(
                    seen,
                    bundle,
                    None,
                    wanted_of(len(inputs)),
                    sha256="ab" * 32,
                    truth=truth if number == 0 else None,
                )
            )
        page.write(
            str(tmp_path / "page.html"),
            PageModel(
                facts={"model": "<i>detector</i> version 1"},
                limits=["Not as <b>proof</b>."],
                video_rule="The mean.",
                threshold=0.5,
            ),
        )
        return (tmp_path / "page.html").read_text()

    return write


def test_it_runs_no_script_and_its_policy_allows_neither_script_nor_network(
    page_of: Callable[..., str],
) -> None:
    html = page_of(examination("a.mp4", 0.9))
    assert "<script" not in html
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in html
    loaded = re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?([^\"')> ]+)", html)
    assert loaded
    assert all(place.startswith(("data:image/jpeg;base64,", "#")) for place in loaded), loaded


def test_names_with_markup_are_text(page_of: Callable[..., str]) -> None:
    for inputs in ([examination(ODD, 0.9)], [examination(ODD, 0.9), examination("b.mp4", None)]):
        html = page_of(*inputs, truth="<u>fake</u>")
        assert "<script" not in html
        assert "&lt;script&gt;" in html
        for markup in ("<i>detector", "<b>proof", "<u>fake"):
            assert markup not in html


def test_one_input_has_verdict_truth_persons_moments_and_the_file(
    page_of: Callable[..., str],
) -> None:
    html = page_of(examination("/clips/a.mp4", 0.9), truth="fake (demo-swap)")
    for words in (
        "Called fake: the score 0.900 is at or above the threshold 0.5.",
        "What the score means is not known",
        "fake (demo-swap)",
        "HiResCAM (arXiv 2011.08891)",
        "most suspicious",
        "What could not be judged",
        "ab" * 32,
        "/clips/a.mp4",
    ):
        assert words in html
    assert html.count("<polyline") == 2
    assert html.count('class="box"') == html.count('class="frame"') > 0
    assert html.count('class="box other"') == html.count('class="frame"')


def test_several_inputs_are_in_a_gallery_by_falling_score_those_without_one_last(
    page_of: Callable[..., str],
) -> None:
    scores = {"low.mp4": 0.2, "none.mp4": None, "high.mp4": 0.9, "zero.mp4": 0.0}
    html = page_of(*(examination(file, score) for file, score in scores.items()))
    assert "<h1>4 inputs</h1>" in html
    listed = re.findall(r'href="#input-(\d)">([^<]+)<', html)
    assert listed == [("1", "high.mp4"), ("2", "low.mp4"), ("3", "zero.mp4"), ("4", "none.mp4")]
    assert re.findall(r'id="input-(\d)"', html) == ["1", "2", "3", "4"]
    assert "No verdict: no face in any frame." in html


def test_only_the_highest_scores_of_many_inputs_keep_their_pictures(
    page_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_page, "MAX_PICTURED", 2)
    html = page_of(*(examination(f"{k}.mp4", k / 10) for k in range(5)))
    assert "Pictures are those of the 2 highest scores." in html
    with_pictures = [part for part in html.split('<section id="input-')[1:] if "<image" in part]
    assert [part[0] for part in with_pictures] == ["1", "2"]
