"""Roots files: what is held, what is not, and mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.config import CorpusSection
from dfray.errors import UserError
from dfray.reproduction.paper import load_paper
from dfray.reproduction.roots import corpora_of, read_roots, recipe_roots, roots_template
from dfray.reproduction.rows import load_recipes

CORPORA = corpora_of(load_recipes(load_paper("table3")).values())


def read(tmp_path: Path, text: str) -> dict[str, str | None]:
    (tmp_path / "roots.yaml").write_text(text)
    return dict(read_roots(str(tmp_path / "roots.yaml"), CORPORA))


def test_the_template_holds_nothing_and_names_every_corpus_once(tmp_path: Path) -> None:
    template = roots_template("table3", CORPORA)
    assert read(tmp_path, template) == dict.fromkeys(CORPORA)
    assert template.count("null  #") == len(CORPORA) == 9


def test_what_a_file_does_not_name_is_not_held(tmp_path: Path) -> None:
    (tmp_path / "FF").mkdir()
    roots = read(tmp_path, f"ffpp: {tmp_path}/FF\n")
    assert roots.pop("ffpp") == f"{tmp_path}/FF"
    assert set(roots.values()) == {None}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ffp: here", "the paper has no corpus 'ffp'. Did you mean ffpp?"),
        ("ffpp: /nowhere/at/all", "ffpp: there is no /nowhere/at/all."),
        ("ffpp: 3", "ffpp: 3 is no root."),
        ("ffpp: ''", "ffpp: '' is no root."),
        ("- ffpp", "is not a mapping of corpora to roots"),
        ("ffpp: null\nffpp: null", "has the key 'ffpp' a second time"),
    ],
)
def test_a_mistake_is_told_with_file_corpus_and_value(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UserError) as refused:
        read(tmp_path, text)
    assert told in str(refused.value)
    assert "roots.yaml" in str(refused.value)


def test_without_a_file_the_roots_of_the_recipes_count_as_far_as_they_are_there(
    tmp_path: Path,
) -> None:
    corpora = {
        "here": CorpusSection(reader="folder", root=str(tmp_path)),
        "away": CorpusSection(reader="folder", root=str(tmp_path / "away")),
    }
    assert recipe_roots(corpora) == {"here": str(tmp_path), "away": None}
