"""The report says what was measured, holds all it needs, and is harmless whatever the names."""

import json
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pytest

from dfray.config import EvaluationSection
from dfray.errors import StorageError
from dfray.evaluation.coverage import count_coverage
from dfray.evaluation.metrics import Metrics, compute_metrics
from dfray.evaluation.mistakes import Mistake
from dfray.evaluation.report import headline_cards, write_report
from dfray.evaluation.robustness import PostProcessingDrop
from dfray.post_processing import POST_PROCESSINGS
from tests.evaluation.conftest import Scored

EVIL = "</script><script>alert('x')</script>"
JPEG = b"\xff\xd8\xff\xe0 not looked at"
HISTORY = [
    {
        "epoch": e,
        "train_loss": 1 / (e + 1),
        "val_loss": 1.1 / (e + 1),
        "selection_loss": 1.1 / (e + 1),
    }
    for e in range(3)
]


class Page(HTMLParser):
    """Texts, elements and scripts of a page, as a browser would find them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if "script" in self.open:
            self.scripts[-1] += data
        elif "style" not in self.open and data.strip():
            self.texts.append(" ".join(data.split()))

    def of(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return "\n".join(self.texts)

    @property
    def figures(self) -> list[dict]:
        kinds = [attributes.get("type") for attributes in self.of("script")]
        return [
            json.loads(script)
            for kind, script in zip(kinds, self.scripts, strict=True)
            if kind == "application/json"
        ]


@cache
def metrics_of(scored: Scored, threshold: float = 0.5) -> Metrics:
    section = EvaluationSection(threshold=threshold)
    return compute_metrics(scored.videos, scored.faces, section, 0)


@pytest.fixture
def render(tmp_path):
    return renderer(tmp_path / "report.html")


def renderer(path):
    """render(scored, **changes) -> the Page that is written to `path`."""

    def render(scored, **changes) -> Page:
        arguments = {
            "title": "A detector",
            "recipe": {"name": "demo", "model": {"backbone": "resnet10t"}},
            "metrics": metrics_of(scored),
            "video_scores": scored.videos,
            "face_scores": scored.faces,
            "coverage": count_coverage(scored.summaries, scored.outcomes),
            "worst": [],
            "history": HISTORY,
            "provenance": {"code": "abc", "versions": {"torch": "2"}},
        }
        write_report(str(path), **(arguments | changes))
        return Page(path.read_text())

    return render


@pytest.fixture(scope="module")
def scored(make_scored):
    return make_scored(12, lost=("no_face", "no_face", "unreadable"))


@pytest.fixture(scope="module")
def plain_page(scored, tmp_path_factory) -> Page:
    """The report of `scored` with nothing changed."""
    return renderer(tmp_path_factory.mktemp("plain") / "report.html")(scored)


def mistake(scored, number, **changes) -> Mistake:
    row = scored.videos.to_pylist()[number]
    kept = {name: row[name] for name in ("video_id", "dataset", "method", "label", "n_faces")}
    return Mistake(**(kept | {"score": row["fake_probability"], "images": (JPEG,) * 2} | changes))


def test_headline_figures_stand_with_their_intervals_and_meaning(scored, plain_page):
    metrics = metrics_of(scored)
    auc, *_, coverage = headline_cards(metrics)
    level = metrics.overall.video
    assert auc.value == f"{level.auc.value:.3f}"
    assert auc.interval == f"{level.auc.low:.3f} – {level.auc.high:.3f}"
    assert f"In {100 * level.auc.value:.0f} of 100 pairs" in auc.sentence
    assert (coverage.value, coverage.interval) == ("92.3 %", "36 of 39 videos")
    assert coverage.sentence == "The others have no score: 2 no face, 1 unreadable."
    text = plain_page.text
    for card in headline_cards(metrics):
        assert f"{card.name}\n{card.value}\n{card.interval}\n{card.sentence}" in text


def test_tables_hold_every_group_at_both_levels(make_scored, render):
    scored = make_scored(6, datasets=("one", "two"))
    page = render(scored)
    metrics = metrics_of(scored)
    for group in [metrics.overall, *metrics.datasets, *metrics.methods]:
        for level in (group.video, group.frame):
            name = group.method or group.dataset or "All, pooled"
            row = f"{name}\n{level.n_real}\n{level.n_fake}\n{level.auc.value:.3f}\n{level.auc.low:.3f}"
            assert row in page.text


def test_the_mean_over_datasets_comes_first_on_cards_and_in_the_table(make_scored, render):
    scored = make_scored(6, datasets=("one", "two"))
    page, mean = render(scored), metrics_of(scored).mean
    assert mean.name == "mean over 2 columns"
    parts = [group.video.auc.value for group in metrics_of(scored).datasets]
    assert mean.auc.value == pytest.approx(sum(parts) / 2)
    assert mean.auc.low < mean.auc.value < mean.auc.high
    card = f"AUC, mean over 2 columns\n{mean.auc.value:.3f}"
    row = f"Mean over 2 columns\n{mean.n_real}\n{mean.n_fake}\n{mean.auc.value:.3f}"
    places = [page.text.index(text) for text in (card, row, "All, pooled")]
    assert places == sorted(places)


def test_thresholds_are_a_table_in_which_the_models_own_and_the_papers_are_named(scored, render):
    page = render(scored, metrics=metrics_of(scored, threshold=0.37), threshold_origin="fitted")
    metrics = metrics_of(scored, threshold=0.37)
    assert "The model's threshold is 0.37, fitted." in page.text
    for point in metrics.operating_points:
        name = f"{point.threshold:.4g}" + "\nthe model's own" * point.is_own
        name += "\nthe papers'" * (point.threshold == 0.5)
        assert f"{name}\n{point.fpr.value:.3f}\n{point.fpr.low:.3f}" in page.text


def test_figures_that_so_few_real_videos_cannot_show_are_none_and_the_reason_stands_there(
    make_scored, render
):
    page = render(make_scored(12))
    operational = metrics_of(make_scored(12)).overall.operational
    assert operational.tpr_at_fpr_1 is None
    assert "–\n12 of 100 real videos\n–\n12 of 20 real videos" in page.text
    assert f"{operational.brier.value:.3f}\n{operational.brier.low:.3f}" in page.text
    many = metrics_of(make_scored(100)).overall.operational
    assert many.tpr_at_fpr_1.value <= many.tpr_at_fpr_5.value


def test_charts_are_there_and_plain_data(plain_page):
    page = plain_page
    labels = [div["aria-label"].split(".")[0] for div in page.of("div") if "aria-label" in div]
    assert labels == [
        "ROC at video level",
        "Faces in the embedding space",
        "Scores of videos",
        "Scores of faces",
        "Loss",
    ]
    assert len(page.figures) == len(labels)
    assert all(figure["data"] and figure["layout"] for figure in page.figures)


def test_coverage_counts_every_outcome_and_reason(scored, plain_page):
    text = plain_page.text
    assert "test\n36\n2\n1\n0\n0\n0\n39" in text
    n_faces = scored.faces.num_rows
    assert f"test\n{n_faces}\n6\n0\n{n_faces + 6}\n0\n{n_faces}" in text
    assert "test\nunreadable\nwhy it was unreadable\n1" in text
    assert "3 videos of the test split without a score" in text
    assert "demo/lost_no_face/0000\nno face\nno face in 3 frame(s)" in text


def test_mistakes_show_their_faces_scores_and_ids(scored, render):
    rows = scored.videos.to_pylist()
    real = next(n for n, row in enumerate(rows) if row["label"] == 0 and row["n_faces"])
    fake = next(n for n, row in enumerate(rows) if row["label"] == 1)
    alarm, missed = mistake(scored, real, score=0.987), mistake(scored, fake, score=0.012)
    page = render(scored, worst=[alarm, missed])
    images = page.of("img")
    assert [image["alt"] for image in images] == [
        f"face {n} of {video}" for video in (alarm.video_id, missed.video_id) for n in (1, 2)
    ]
    assert all(image["src"].startswith("data:image/jpeg;base64,/9j/") for image in images)
    first, second = page.text.split("Fake, called real:")
    assert f"{alarm.video_id}\n0.987" in first
    assert f"{missed.video_id}\n0.012" in second


def test_mistakes_are_counted_even_where_none_is_shown(make_scored, render):
    scored = make_scored(40, skill=0.3)
    rows = scored.videos.to_pylist()
    alarms = sum(row["label"] == 0 and row["fake_probability"] >= 0.5 for row in rows)
    missed = sum(row["label"] == 1 and row["fake_probability"] < 0.5 for row in rows)
    text = render(scored).text
    assert f"Real, called fake: {alarms} of 40 videos" in text
    assert f"Fake, called real: {missed} of 80 videos" in text


def test_nothing_is_loaded_from_anywhere(scored, render):
    page = render(scored, worst=[mistake(scored, 0, score=0.9)])
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            address = attributes.get(name) or "#"
            assert address.startswith(("#", "data:image/jpeg;base64,")), (tag, address)
    (policy,) = [m["content"] for m in page.of("meta") if "http-equiv" in m]
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_no_style_imports_anything(tmp_path, scored, render):
    render(scored)
    (css,) = re.findall(r"<style>(.*?)</style>", (tmp_path / "report.html").read_text(), re.S)
    assert "url(" not in css
    assert "@import" not in css


def test_strings_from_outside_are_harmless(make_scored, render):
    methods = {"real": ["source"], "FS": [EVIL]}
    scored = make_scored(4, methods=methods, datasets=(f"d{EVIL}",), lost=("unreadable",))
    page = render(
        scored,
        title=EVIL,
        recipe={"name": EVIL},
        worst=[mistake(scored, 0, score=0.9, label=0)],
        provenance={EVIL: EVIL},
        history=[{"epoch": 0, f"{EVIL}_loss": 1.0}],
    )
    n_figures = len(page.figures)
    assert len(page.scripts) == n_figures + 2
    assert not any("alert('x')" in script for script in page.scripts[-2:])
    assert page.texts.count(EVIL) >= 4
    harmless = make_scored(4, methods={"real": ["source"], "FS": ["swap"]}, lost=("unreadable",))
    plain = render(
        harmless,
        worst=[mistake(harmless, 0, score=0.9, label=0)],
        provenance={"a": "b"},
        history=[{"epoch": 0, "a_loss": 1.0}],
    )
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]


def test_one_class_is_reported_with_the_reason(make_scored, render):
    page = render(make_scored(4, methods={"real": ["source"]}))
    assert "AUC\n–\nnot defined\nThere is no scored fake video to compare with." in page.text
    assert not any("ROC" in div.get("aria-label", "") for div in page.of("div"))


def test_nothing_scored_still_gives_a_report(make_scored, render):
    page = render(make_scored(0, lost=("no_face", "crashed")), history=[])
    assert "0.0 %\n0 of 2 videos" in page.text
    assert page.figures == []


def test_recipe_and_provenance_are_kept(scored, plain_page):
    text = plain_page.text
    assert "name: demo model: backbone: resnet10t" in text
    assert "code\nabc" in text
    assert "versions.torch\n2" in text


def test_the_report_stays_small_enough_to_mail(tmp_path, make_scored, render):
    scored = make_scored(300)
    noise = np.random.default_rng(0).bytes(5000)
    render(scored, worst=[mistake(scored, n, images=(noise,) * 6) for n in range(16)])
    assert (tmp_path / "report.html").stat().st_size < 6e6


def test_a_report_that_cannot_be_written_says_where(tmp_path, scored, render):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(StorageError, match=r"report\.html"):
        render(scored)


def test_drops_under_post_processing_are_a_table_and_a_plot(scored, render, plain_page):
    drop = PostProcessingDrop(
        "blur",
        POST_PROCESSINGS["blur"].unit,
        0.9,
        POST_PROCESSINGS["blur"].strengths,
        (0.9, 0.88, 0.8, 0.7, 0.55),
    )
    page = render(scored, drops=[drop])
    assert "Gaussian blur, sigma in px\n0.900\n0.000\nat 0.5\n0.020\nat 1\n0.100\nat 2" in page.text
    (figure,) = [f for f in page.figures if f["layout"]["xaxis"]["title"]["text"] == "strength"]
    assert figure["data"][0]["y"] == [0.9, 0.9, 0.88, 0.8, 0.7, 0.55]
    assert "Post-processing" not in plain_page.text


def test_maps_stand_below_their_faces_and_are_explained(scored, render):
    plain = mistake(scored, 0, score=0.9, label=0)
    page = render(scored, worst=[replace(plain, maps=plain.images), plain])
    alts = [image["alt"] for image in page.of("img")]
    name = plain.video_id
    faces = [f"face {n} of {name}" for n in (1, 2)]
    assert alts == [*faces, *(f"saliency map of {face}" for face in faces), *faces]
    assert "A map shows what moved the score, not what is fake." in page.text
    assert "A map shows" not in render(scored, worst=[plain]).text


def test_why_there_are_no_maps_is_said_once(scored, render):
    plain = mistake(scored, 0, score=0.9, label=0)
    lacking = replace(plain, unexplained="The late features of <b>Xcit</b> are no map.")
    text = render(scored, worst=[lacking, lacking]).text
    assert text.count("No saliency maps: The late features of <b>Xcit</b> are no map.") == 1
    assert "No maps" not in render(scored, worst=[plain]).text


def test_groups_of_people_stand_below_the_datasets(scored, render, plain_page):
    groups = {v: "ab"[int(v[-1]) % 2] for v in scored.videos["video_id"].to_pylist()}
    section = EvaluationSection()
    metrics = compute_metrics(
        scored.videos, scored.faces, section, 0, attributes={"identity group": groups}
    )
    text = render(scored, metrics=metrics).text
    assert "By group of the person seen, over all datasets\na\n" in text
    assert "By group" not in plain_page.text


def test_error_rates_of_groups_are_a_table_by_attribute(scored, render, plain_page):
    ids = scored.videos["video_id"].to_pylist()
    attributes = {
        "age": {video: ("young", "old")[number % 2] for number, video in enumerate(ids)},
        "language": {ids[0]: "<i>en</i>"},
    }
    metrics = compute_metrics(
        scored.videos, scored.faces, EvaluationSection(), 0, attributes=attributes
    )
    page = render(scored, metrics=metrics)
    for group in metrics.subgroups:
        if group.attribute == "age":
            counts = f"{group.value}\n{group.n_real}\n{group.n_fake}"
            rates = f"{group.false_alarms.value:.3f}\n{group.false_alarms.low:.3f}"
            assert f"{counts}\n{rates}" in page.text
    assert "too few to tell" in page.text
    assert "<i>en</i>" in page.text, "as text"
    assert "Error rates by group" not in plain_page.text


def test_the_video_rule_is_named(scored, render, plain_page):
    section = EvaluationSection(video_rule="max_of_persons")
    metrics = compute_metrics(scored.videos, scored.faces, section, 0)
    assert (
        "the highest mean fake probability of a person in it"
        in render(scored, metrics=metrics).text
    )
    assert "the mean fake probability over its faces" in plain_page.text
