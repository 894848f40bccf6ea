"""Search space of a recipe: checked through the recipe itself, and as Optuna's distributions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dfray.config import Recipe, SearchSection
from dfray.errors import RecipeError
from dfray.recipe import with_values
from dfray.search.result import Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_SEARCHED = ("batches", "augment", "model", "objective", "training")
_SHARED = {
    "batches.sampling": "trials share one sampled dataset",
    "batches.stream_first_epoch": "trials read faces that are written",
    "training.epochs": "the scheduler ends trials; all may go as far as training.epochs",
    "training.num_workers": "it is search.trial_workers for every trial",
    "training.min_workers": "it is search.trial_workers for every trial",
    "training.cpus_per_worker": "concurrent trials need the same",
    "training.use_gpu": "concurrent trials need the same",
}


def require_space(recipe: Recipe) -> None:
    """Check that every value of the space makes a recipe, before anything is started.

    Raises:
        RecipeError: a key that the recipe does not have or that trials share, or a value that it refuses.
    """
    section = recipe.search
    for key, parameter in section.space.items():
        _refuse_shared(key)
        for value in parameter.ends:
            trial_recipe(recipe, {key: value})
    if section.scheduler == "asha" and section.grace_epochs > recipe.training.epochs:
        raise RecipeError(
            f"search.grace_epochs {section.grace_epochs} is more than training.epochs "
            f"{recipe.training.epochs}.",
            "Lower it, or set search.scheduler: none.",
        )


def trial_recipe(recipe: Recipe, parameters: Mapping[str, Value]) -> Recipe:
    """Return the recipe that a trial with these parameters trains.

    Raises:
        RecipeError: the recipe refuses a value, or values do not go together.
    """
    workers = {"training.num_workers": recipe.search.trial_workers, "training.min_workers": None}
    return with_values(recipe, {**parameters, **workers, "search": {}}, "search.space")


def choices(section: SearchSection) -> list[dict[str, Value]]:
    """Return each value of each choice by itself: each may need other classes or another network."""
    return [
        {key: value} for key, parameter in section.space.items() for value in parameter.choice or []
    ]


def distributions(section: SearchSection) -> dict[str, BaseDistribution]:
    """Return recipe key -> the distribution that Optuna draws its values from."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    space: dict[str, BaseDistribution] = {}
    for key, parameter in section.space.items():
        if parameter.choice is not None:
            space[key] = CategoricalDistribution(parameter.choice)
        elif parameter.int is not None:
            space[key] = IntDistribution(*parameter.int)
        elif parameter.log_uniform is not None:
            space[key] = FloatDistribution(*parameter.log_uniform, log=True)
        elif parameter.uniform is not None:
            space[key] = FloatDistribution(*parameter.uniform)
    return space


def _refuse_shared(key: str) -> None:
    section = key.partition(".")[0]
    reason = _SHARED.get(key)
    if section in Recipe.model_fields and section not in _SEARCHED:
        reason = f"trials differ in {', '.join(_SEARCHED)} alone"
    if reason:
        raise RecipeError(f"search.space: {key} cannot be searched: {reason}.")
