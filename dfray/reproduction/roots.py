"""Roots file: where each corpus of a paper lies, or that it is not held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dfray import storage
from dfray.config import CorpusSection, Recipe
from dfray.datasets.readers import reader
from dfray.documents import read_yaml, shown
from dfray.errors import UserError, did_you_mean

Roots = Mapping[str, str | None]
"""Name of a corpus -> its root; None: it is not held."""


def corpus_name(corpus: CorpusSection) -> str:
    """Return the name of a corpus in a roots file: the recipe's `dataset`, or else its reader."""
    return corpus.dataset or corpus.reader


def corpora_of(recipes: Iterable[Recipe]) -> dict[str, CorpusSection]:
    """Return name -> corpus of all recipes, the first of each name; the demo's are drawn, and left out."""
    corpora: dict[str, CorpusSection] = {}
    for recipe in recipes:
        for corpus in recipe.corpora:
            if corpus.reader != "demo":
                corpora.setdefault(corpus_name(corpus), corpus)
    return corpora


def read_roots(uri: str, corpora: Mapping[str, CorpusSection]) -> Roots:
    """Return the root of each corpus that a YAML file names; those that it does not name are not held.

    Raises:
        UserError: it is no such file, names another corpus, or a root that is not there.
        StorageError: it cannot be read.
    """
    value = read_yaml(uri).value
    if not isinstance(value, dict):
        raise UserError(
            f"{uri} is not a mapping of corpora to roots: it holds {shown(value)}.",
            "`dfray reproduce PAPER --print-roots` writes a template.",
        )
    for name, root in value.items():
        if name not in corpora:
            known = f"There are: {', '.join(corpora)}."
            raise UserError(
                f"{uri}: the paper has no corpus {name!r}.",
                f"{did_you_mean(str(name), corpora)} {known}".strip(),
            )
        if root is None:
            continue
        if not isinstance(root, str) or not root:
            raise UserError(
                f"{uri}: {name}: {shown(root)} is no root.",
                "Write a path or an s3:// URI, or null for a corpus that is not held.",
            )
        if not storage.exists(root):
            raise UserError(
                f"{uri}: {name}: there is no {root}.",
                f"Name what reader {corpora[name].reader} reads, or write null if it is not held.",
            )
    return {name: value.get(name) for name in corpora}


def recipe_roots(corpora: Mapping[str, CorpusSection]) -> Roots:
    """Return the roots that the recipes name, as far as they are there."""
    return {
        name: corpus.root if storage.exists(corpus.root) else None
        for name, corpus in corpora.items()
    }


def roots_template(paper: str, corpora: Mapping[str, CorpusSection]) -> str:
    """Return a commented roots file in which no corpus is held yet."""
    lines = [
        f"# Roots for `dfray reproduce {paper} --roots FILE`: name of a corpus -> path or s3:// URI.",
        "# null, or no line: the corpus is not held. `dfray manifest readers` prints the layouts.",
    ]
    for name, corpus in corpora.items():
        title = reader(corpus.reader).title.rstrip(".")
        lines += ["", f"# {title} (reader {corpus.reader})", f"{name}: null  # {corpus.root}"]
    return "\n".join([*lines, ""])
