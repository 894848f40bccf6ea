"""Checks of the network and of its initial weights, built without memory for its parameters."""

from __future__ import annotations

from collections.abc import Iterator

from dfray import storage
from dfray.checks.finding import Finding
from dfray.checks.subject import Subject

LARGE = 20_000_000
"""Parameters from which random initial weights are warned of, between EfficientNet-B4's and ResNet-50's."""
_ANY_CLASSES = 2


def network(subject: Subject) -> Iterator[Finding]:
    """Yield the backbone that cannot be built, and the file of weights that is not there."""
    from dfray.training.estimate import NetworkCost

    section = subject.recipe.model
    parameters = NetworkCost.of(section, _ANY_CLASSES).counts.all
    if section.weights is None and parameters >= LARGE:
        yield Finding(
            f"model.weights is null: the {parameters / 1e6:,.0f} million parameters of "
            f"{section.backbone} start from random numbers.",
            "Set model.weights: timm, or name a file, unless that is meant.",
            "warn",
        )
    if _is_file(section.weights) and not storage.exists(str(section.weights)):
        yield Finding(
            f"model.weights: there is no {section.weights}.", "Name the file of the weights."
        )


def _is_file(weights: str | None) -> bool:
    """Return True if weights are a file on a disk or in an object store, not on the hub."""
    return weights not in (None, "timm") and not str(weights).startswith("hf://")


def space(subject: Subject) -> Iterator[Finding]:
    """Yield the key or the value of the search's space that the recipe refuses."""
    from dfray.search.space import require_space

    require_space(subject.recipe)
    yield from ()
