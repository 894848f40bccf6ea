"""Classes that a recipe trains, checked against its videos; without Ray, weights or pixels."""

from __future__ import annotations

import pyarrow as pa

from dfray.batches.labels import LabelScheme
from dfray.config import Recipe
from dfray.datasets.corpus import may_hold
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
    corpora = [c.dataset or c.reader for c in recipe.corpora if may_hold(c, ("train",))]
    classes = (
        LabelScheme.named(scheme, corpora) if videos is None else LabelScheme.of(scheme, videos)
    )
    Objective(recipe.objective, num_classes=len(classes.class_names), embedding_dim=_ANY_DIM)
    return classes
