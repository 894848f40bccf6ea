"""Classes that a recipe trains, checked against its videos; without Ray, weights or pixels."""

from __future__ import annotations

import pyarrow as pa

from dfray.batches.labels import LabelScheme
from dfray.config import CorpusSection, Recipe
from dfray.datasets.readers import reader
from dfray.losses.objective import Objective

_ANY_DIM = 8


def require_trainable_classes(recipe: Recipe, videos: pa.Table | None) -> LabelScheme:
    """Return the run's classes; refuse labels and objectives that its videos cannot train.

    Args:
        videos: VIDEOS or SUMMARIES, train and val at least; None: not read yet, and the classes are
            those of the recipe's corpora if each one in training has fakes.

    Raises:
        ManifestError: `videos` lack the classes of batches.labels.
        RecipeError: objective.metric names no loss, or an option that the loss lacks.
    """
    scheme = recipe.batches.labels
    corpora = [corpus.dataset or corpus.reader for corpus in recipe.corpora if _is_trained(corpus)]
    classes = (
        LabelScheme.named(scheme, corpora) if videos is None else LabelScheme.of(scheme, videos)
    )
    Objective(recipe.objective, num_classes=len(classes.class_names), embedding_dim=_ANY_DIM)
    return classes


def _is_trained(corpus: CorpusSection) -> bool:
    """Return True if videos of the corpus are in the train split, or if that is not published."""
    if corpus.split is not None:
        return corpus.split == "train"
    if corpus.only is not None and "train" not in corpus.only:
        return False
    published = reader(corpus.reader).published
    return published is None or published.train > 0
