"""Papers: recipes that exist, rows that the protocol publishes, and errors that say which is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.errors import UserError
from dfray.installed_files import installed_folder, installed_names
from dfray.reproduction.paper import load_paper
from dfray.reproduction.rows import load_recipes
from tests.helpers.papers import write_paper


@pytest.mark.parametrize("name", installed_names("paper"))
def test_an_installed_paper_has_a_recipe_and_published_figures_for_each_row(name: str) -> None:
    paper = load_paper(name)
    assert list(load_recipes(paper)) == list(paper.file.rows)
    assert all(paper.published(recipe) is not None for recipe in paper.file.rows)
    assert paper.file.deviations


def test_table3_has_each_published_row_once() -> None:
    paper = load_paper("table3")
    assert paper.protocol.published is not None
    rows = [row.name for row in paper.protocol.published.rows]
    assert list(paper.file.rows.values()) == rows


def test_no_published_figure_is_typed_a_second_time() -> None:
    for protocol in ("paper", "clip"):
        text = (installed_folder("protocol") / f"{protocol}.yaml").read_text()
        figures = [line for line in text.splitlines() if line.strip().startswith("auc:")]
        for paper in installed_folder("paper").glob("*.yaml"):
            assert not any(line.split("[")[1] in paper.read_text() for line in figures)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("first.yaml: First", "first.yaml: Frist", "no published row 'Frist'. Did you mean First?"),
        ("title: Twins of two rows", "titel: Twins", "titel"),
        ("rows:", "rows: 3\nothers:", "rows"),
        ("name: twins", "name: ../up", "name"),
        ("protocol: protocol.yaml", "protocol: papper", "No protocol is called 'papper'"),
    ],
)
def test_a_mistake_in_a_paper_is_told_with_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    file = write_paper(tmp_path)
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(UserError) as refused:
        load_paper(str(file))
    assert told in str(refused.value)


def test_an_unknown_paper_is_told_with_those_that_there_are() -> None:
    with pytest.raises(UserError, match=r"No paper is called 'tabel3'.* Did you mean table3"):
        load_paper("tabel3")
