"""`dfray reproduce`: the template of roots, the plan, and the exit code of rows that fail."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.helpers.commands import Command
from tests.helpers.papers import write_paper


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """A folder with a paper of three rows; the second has no batch, the third lacks a corpus."""
    write_paper(tmp_path)
    recipe = tmp_path / "second.yaml"
    recipe.write_text(recipe.read_text().replace("batch_size: 8", "batch_size: 8000"))
    return tmp_path


def test_the_template_of_roots_names_each_corpus_and_holds_none(
    papers: Path, dfray: Command
) -> None:
    done = dfray(papers, "reproduce", "paper.yaml", "--print-roots")
    assert done.code == 0
    assert yaml.safe_load(done.out) == {"extra": None, "learned": None}


def test_a_dry_run_prints_each_row_with_its_reason_and_the_stores_and_writes_nothing(
    papers: Path, dfray: Command
) -> None:
    before = sorted(papers.iterdir())
    done = dfray(papers, "reproduce", "paper.yaml", "--dry-run", "--nodes", "1x2cpu@3")
    assert done.code == 0, done.err
    assert re.search(
        r"^first +due +due +due +First +without extra: columns stay empty", done.out, re.M
    )
    assert re.search(r"^second +impossible .*less than a batch of 8000", done.out, re.M)
    assert re.search(r"^third +impossible .*It trains on learned, not held", done.out, re.M)
    assert "extracted once for first (store " in done.out
    assert "first is not estimated: The demo's clips are not drawn yet" in done.out
    assert sorted(papers.iterdir()) == before


def test_a_dry_run_of_named_rows_without_nodes_says_how_to_get_an_estimate(
    papers: Path, dfray: Command
) -> None:
    done = dfray(papers, "reproduce", "paper.yaml", "--dry-run", "--rows", "first, third")
    assert done.code == 0, done.err
    assert "second" not in done.out
    assert "Not estimated: name the nodes with --nodes" in done.out


def test_a_row_that_fails_makes_the_exit_code_1_and_the_page_is_written(
    papers: Path, dfray: Command
) -> None:
    words = ("reproduce", "paper.yaml", "--rows", "second", "--out", "out")
    done = dfray(papers, *words)
    assert done.code == 1
    assert "row second failed: " in done.err
    (page,) = re.findall(r"page +(\S+)", done.out)
    assert f"dfray {' '.join(words)}" in (papers / page).read_text()
