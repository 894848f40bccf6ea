"""Table 3 of any models: the same figures on the page, in Markdown and in CSV, gaps shown as gaps."""

import csv
import io
import re

import pytest

from dfray import storage
from dfray.evaluation.aggregate import VIDEO_SCORES
from dfray.evaluation.protocol import apply_protocol, load_protocol, method_metrics
from dfray.evaluation.protocol_table import (
    ProtocolResult,
    notes_of,
    rows_of,
    to_csv,
    to_markdown,
    write_protocol_table,
)
from tests.evaluation.test_protocol import corpus, df40

PAPER = load_protocol("paper")
EVIL = "<script>alert('x')</script>|"


def measured(name: str, seed: int = 0, threshold: float = 0.5) -> ProtocolResult:
    rows = corpus("ff++", {"Deepfakes": "FS", "NeuralTextures": "RE"}, 9, seed) + df40(8)
    rows += corpus("itw", {"a": "fake"}, 5, seed)
    videos = VIDEO_SCORES.from_rows(rows)
    return ProtocolResult(
        name,
        threshold,
        apply_protocol(PAPER, videos, threshold),
        method_metrics(PAPER, videos, threshold),
    )


MODELS = [measured("mine"), measured("models:/faces/2", seed=3, threshold=0.4)]


def test_published_rows_stand_first_and_models_follow_in_order():
    rows = rows_of(PAPER, MODELS, "auc")
    assert [row.published for row in rows] == [True] * 10 + [False] * 2
    assert rows[0].cells[0] == 88.2
    assert rows[10].cells[0] == pytest.approx(100 * MODELS[0].figures[0].auc, abs=0.05)


def test_the_papers_threshold_comes_before_each_models_own_which_has_no_published_row():
    lines = to_markdown(PAPER, MODELS).splitlines()
    titles = [line.split("|")[1].strip() for line in lines if line.startswith(("| AUC", "| Bal"))]
    assert titles == [
        "AUC (%)",
        "Balanced accuracy at 0.5 (%)",
        "Balanced accuracy at each model's own threshold (%)",
    ]
    assert [row.published for row in rows_of(PAPER, MODELS, "own_balanced_accuracy")] == [False] * 2


def test_markdown_shows_absent_figures_as_a_dash_and_marks_incomplete_averages():
    text = to_markdown(PAPER, MODELS)
    line = next(line for line in text.splitlines() if line.startswith("| **mine** |"))
    cells = [cell.strip() for cell in line.strip("|").split("|")][1:]
    assert len(cells) == 13
    assert cells[1] == "—"
    assert re.fullmatch(r"\d+\.\d†", cells[5])
    assert re.fullmatch(r"\d+\.\d", cells[0])
    assert "- † Out-of-distribution / Avg: 20 of 21 methods" in text
    assert "- — In-the-wild / WDF: no video of wilddeepfake" in text


def test_each_gap_is_told_once_however_many_models():
    assert notes_of(PAPER, MODELS) == notes_of(PAPER, MODELS[:1])


def test_csv_holds_bare_numbers_with_their_counts_and_leaves_gaps_empty():
    rows = list(csv.DictReader(io.StringIO(to_csv(PAPER, MODELS))))
    mine = [row for row in rows if row["row"] == "mine" and row["scenario"] != "by method"]
    assert len(mine) == 3 * len(PAPER.headings)
    assert [row["percent"] for row in mine if row["column"] == "CDF"] == ["", "", ""]
    first = next(row for row in mine if row["column"] == "FF++")
    assert float(first["percent"]) == round(100 * MODELS[0].figures[0].auc, 1)
    assert (first["n_real"], first["n_fake"], first["note"]) == ("9", "5", "")
    published = [row for row in rows if row["published"] == "True"]
    assert len(published) == 2 * 10 * 13


def test_csv_has_the_methods_of_ffpp():
    rows = list(csv.DictReader(io.StringIO(to_csv(PAPER, MODELS))))
    methods = {row["column"] for row in rows if row["scenario"] == "by method"}
    assert methods == {"FF++ / Deepfakes", "FF++ / NeuralTextures"}


def test_the_page_is_one_file_with_the_same_cells_and_loads_nothing(tmp_path):
    uri = write_protocol_table(str(tmp_path), PAPER, MODELS)
    html = storage.read_bytes(uri).decode()
    assert "default-src 'none'" in html
    assert not re.search(r"<(link|iframe|img)\b", html)
    cells = re.findall(r'<tr class="measured">(.*?)</tr>', html, re.S)
    shown = [re.sub(r"<[^>]+>", "|", row).split("|") for row in cells]
    for row, text in zip(rows_of(PAPER, MODELS, "auc")[10:], shown, strict=False):
        wanted = ["—" if v is None else f"{v:.1f}" for v in row.cells]
        found = [cell.rstrip("†") for cell in text if cell.strip()][1:]
        assert found == wanted
    assert {path.suffix for path in tmp_path.iterdir()} == {".html", ".md", ".csv"}


def test_names_from_outside_are_harmless(tmp_path):
    html = storage.read_bytes(write_protocol_table(str(tmp_path), PAPER, [measured(EVIL)])).decode()
    assert "<script>alert" not in html
    assert r"\</script\>\|**" in (tmp_path / "paper.md").read_text()
