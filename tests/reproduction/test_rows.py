"""What each row can be trained and tested on, by the corpora that are held and asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.errors import UserError
from dfray.reproduction.paper import load_paper
from dfray.reproduction.roots import corpora_of
from dfray.reproduction.rows import PaperRow, Selection, load_recipes, select_rows

TABLE3 = load_paper("table3")
FIVE = ("ffpp", "celeb_df", "dfdc", "fakeavceleb", "forgerynet")


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    """A roots file by which every corpus of Table 3 is held."""
    lines = []
    for name in corpora_of(load_recipes(TABLE3).values()):
        (tmp_path / name).mkdir()
        lines.append(f"{name}: {tmp_path}/{name}")
    (tmp_path / "roots.yaml").write_text("\n".join(lines))
    return tmp_path / "roots.yaml"


def selected(roots: Path, **asked: tuple[str, ...]) -> dict[str, PaperRow]:
    return {row.name: row for row in select_rows(TABLE3, Selection(str(roots), **asked))}


def without(roots: Path, name: str) -> None:
    lines = [x for x in roots.read_text().splitlines() if not x.startswith(f"{name}:")]
    roots.write_text("\n".join(lines))


def test_a_row_whose_corpora_are_all_held_has_them_at_their_roots(roots: Path) -> None:
    row = selected(roots)["fsfm-ba"]
    assert (row.lacking, row.absent) == ((), ())
    assert [corpus.root for corpus in row.recipe.corpora][:2] == [
        f"{roots.parent}/ffpp",
        f"{roots.parent}/celeb_df",
    ]


def test_a_test_corpus_that_is_not_held_leaves_the_recipe(roots: Path) -> None:
    without(roots, "df40")
    row = selected(roots)["fsfm"]
    assert (row.lacking, row.absent) == ((), ("df40",))
    assert "df40" not in [corpus.reader for corpus in row.recipe.corpora]


def test_without_a_corpus_of_training_a_row_is_impossible_and_says_so(roots: Path) -> None:
    without(roots, "dfdc")
    rows = selected(roots)
    assert rows["fsfm"].why_impossible == "It trains on dfdc, not held or not asked for."
    assert rows["sbi"].why_impossible is None
    assert rows["sbi"].absent == ("dfdc",)


def test_a_subset_of_corpora_is_as_if_the_others_were_not_held(roots: Path) -> None:
    rows = selected(roots, corpora=("ffpp", "itw"))
    assert rows["sbi"].why_impossible is None
    assert [corpus.reader for corpus in rows["sbi"].recipe.corpora] == ["ffpp", "csv"]
    assert rows["imagenet"].lacking == FIVE[1:]


def test_a_subset_of_rows_asks_for_no_other(roots: Path) -> None:
    asked = [row.name for row in selected(roots, rows=("fsfm", "sbi")).values() if row.is_asked]
    assert asked == ["sbi", "fsfm"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"rows": ("fsfm-b",)}, "--rows: the paper has no 'fsfm-b'. Did you mean fsfm-ba?"),
        ({"corpora": ("dfcd",)}, "--corpora: the paper has no 'dfcd'. Did you mean dfdc?"),
        ({"overrides": ("name=one",)}, "Two rows of table3 have the name one"),
    ],
)
def test_unknown_names_are_refused(
    roots: Path, asked: dict[str, tuple[str, ...]], told: str
) -> None:
    with pytest.raises(UserError) as refused:
        selected(roots, **asked)
    assert told in str(refused.value)


def test_overrides_hold_for_every_row(roots: Path) -> None:
    rows = selected(roots, overrides=("training.epochs=3", "work_dir=elsewhere"))
    assert {row.recipe.training.epochs for row in rows.values()} == {3}
    assert {row.recipe.work_dir for row in rows.values()} == {"elsewhere"}
