"""What a recipe asks to learn, and whether its videos can teach it; no Ray, no weights, no pixels."""

from __future__ import annotations

import pyarrow as pa

from dfray.batches.labels import LabelScheme
from dfray.config import CorpusSection, Recipe
from dfray.datasets.readers import reader
from dfray.losses.objective import Objective

_ANY_DIM = 8


def require_trainable_classes(recipe: Recipe, videos: pa.Table | None) -> LabelScheme:
    """The run's classes; what its labels or its objective cannot learn is refused before it costs.

    Args:
        videos: VIDEOS or SUMMARIES, train and val at least; none: not known yet, so that the classes
            are those that the recipe's corpora have if each that trains has fakes.

    Raises:
        ManifestError: `videos` do not tell the classes that batches.labels asks for.
        RecipeError: objective.metric names no loss, or gives it options that it does not take.
    """
    scheme = recipe.batches.labels
    corpora = [corpus.dataset or corpus.reader for corpus in recipe.corpora if _trains(corpus)]
    classes = (
        LabelScheme.named(scheme, corpora) if videos is None else LabelScheme.of(scheme, videos)
    )
    Objective(recipe.objective, num_classes=len(classes.class_names), embedding_dim=_ANY_DIM)
    return classes


def _trains(corpus: CorpusSection) -> bool:
    """Whether videos of it come into the train split, as far as that is published."""
    if corpus.split is not None:
        return corpus.split == "train"
    if corpus.only is not None and "train" not in corpus.only:
        return False
    published = reader(corpus.reader).published
    return published is None or published.train > 0
