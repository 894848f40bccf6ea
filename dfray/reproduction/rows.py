"""Rows of a paper with the corpora that are held: what each trains and tests on, and what it lacks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dfray.config import CorpusSection, Recipe
from dfray.datasets.corpus import TRAINED, may_hold
from dfray.errors import UserError, did_you_mean
from dfray.evaluation.protocol import PublishedRow
from dfray.recipe import load_recipe
from dfray.reproduction.paper import Paper
from dfray.reproduction.roots import (
    Roots,
    corpora_of,
    corpus_name,
    read_roots,
    recipe_roots,
)


@dataclass(frozen=True)
class PaperRow:
    """One row of a paper.

    Attributes:
        recipe: with the corpora that are held alone, or with all if one of training is lacking.
        published: the row's published figures; None: there are none.
        is_asked: it is to be trained; False: only shown, as far as it was.
        lacking: corpora that it trains on, and that are not held or not asked for.
        absent: corpora that it is tested on alone, likewise.
    """

    recipe: Recipe
    published: PublishedRow | None = None
    is_asked: bool = True
    lacking: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the recipe, and of its runs."""
        return self.recipe.name

    @property
    def why_impossible(self) -> str | None:
        """Sentence on the corpora without which it cannot be trained; None: it has all."""
        if not self.lacking:
            return None
        return f"It trains on {', '.join(self.lacking)}, not held or not asked for."


@dataclass(frozen=True)
class Selection:
    """What of a paper is asked for.

    Attributes:
        roots: URI of a roots file; None: the roots of the recipes.
        rows: names of recipes; empty: all.
        corpora: names of corpora; empty: all that are held.
        overrides: `section.key=value`, for every row.
    """

    roots: str | None = None
    rows: tuple[str, ...] = ()
    corpora: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()


def load_recipes(paper: Paper, overrides: Sequence[str] = ()) -> dict[str, Recipe]:
    """Return recipe as the paper names it -> recipe.

    Raises:
        RecipeError: there is no such recipe, or an override does not fit one.
        UserError: two recipes have one name.
    """
    recipes = {name: load_recipe(name, list(overrides)) for name in paper.file.rows}
    names = [recipe.name for recipe in recipes.values()]
    for name in names:
        if names.count(name) > 1:
            raise UserError(
                f"Two rows of {paper.name} have the name {name}, so they would be one run.",
                "Do not override `name`; give each recipe a name of its own.",
            )
    return recipes


def select_rows(paper: Paper, selection: Selection) -> list[PaperRow]:
    """Return every row of a paper, with the corpora that are held and asked for.

    Raises:
        UserError: no such row or corpus, or the roots file is not valid.
        RecipeError: as `load_recipes`.
    """
    recipes = load_recipes(paper, selection.overrides)
    known = corpora_of(recipes.values())
    _require_known("--rows", selection.rows, [recipe.name for recipe in recipes.values()])
    _require_known("--corpora", selection.corpora, known)
    roots = read_roots(selection.roots, known) if selection.roots else recipe_roots(known)
    if selection.corpora:
        roots = {name: root if name in selection.corpora else None for name, root in roots.items()}
    return [
        _row(
            recipe,
            paper.published(name),
            roots,
            is_asked=not selection.rows or recipe.name in selection.rows,
        )
        for name, recipe in recipes.items()
    ]


def _row(
    recipe: Recipe, published: PublishedRow | None, roots: Roots, *, is_asked: bool
) -> PaperRow:
    kept, lacking, absent = list[CorpusSection](), list[str](), list[str]()
    for corpus in recipe.corpora:
        name = corpus_name(corpus)
        root = corpus.root if corpus.reader == "demo" else roots[name]
        if root is not None:
            kept.append(corpus.model_copy(update={"root": root}))
        else:
            (lacking if may_hold(corpus, TRAINED) else absent).append(name)
    if not lacking:
        recipe = recipe.model_copy(update={"corpora": kept})
    return PaperRow(recipe, published, is_asked, tuple(lacking), tuple(absent))


def _require_known(option: str, names: Collection[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise UserError(
                f"{option}: the paper has no {name!r}.",
                f"{did_you_mean(name, known)} There are: {', '.join(known)}.".strip(),
            )
