"""Losses of pytorch-metric-learning by name, refused early where they cannot work.

What each minimises, its options and its source are in that library's documentation. Some have parameters
of their own (proxies, class centres): these are trained, and kept in checkpoints, with the objective.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from dfray.config import MetricSection
from dfray.errors import RecipeError, did_you_mean

_NOT_OF_LABELS = {
    "BaseMetricLossFunction": "is the base of the others",
    "GenericPairLoss": "is the base of the others",
    "ManifoldLoss": "makes up classes of its own",
    "VICRegLoss": "compares two views of a picture and takes no labels",
}
_FILLED = {
    "num_classes": "classes",
    "embedding_size": "size",
    "descriptors_dim": "size",
}
"""Arguments without a default that follow from the model: P2SGradLoss has a name of its own."""


class MetricLoss(nn.Module):
    """A loss of embeddings and labels; its state_dict is that of the library's loss."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Scalar in float32 (float64 of float64), of (B, D) embeddings and (B,) labels."""
        points = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
        with torch.autocast(points.device.type, enabled=False):
            value: Tensor = self.loss(points, labels)
        return value


def build_metric_loss(
    section: MetricSection, *, num_classes: int, embedding_dim: int
) -> MetricLoss:
    """The loss that `section` names, tried on a small batch.

    `num_classes` and the size of embeddings are filled in where the loss asks for them.

    Raises:
        RecipeError: no such loss, options it does not take, or options it fails with.
    """
    loss_class = _loss_class(section.name)
    told = f"objective.metric.options: {section.name}"
    given = {"classes": num_classes, "size": embedding_dim}
    filled = {name: given[what] for name, what in _FILLED.items() if _requires(loss_class, name)}
    taken = sorted(filled.keys() & section.options.keys())
    if taken:
        raise RecipeError(f"{told} gets {', '.join(taken)} from the model.", "Leave it out.")
    try:
        loss = MetricLoss(loss_class(**filled, **section.options))
    except Exception as error:  # the library's own checks are of many types
        raise RecipeError(
            f"{told} cannot be built with {section.options}: {type(error).__name__}: {error}.",
            f"Its own options are {', '.join(_options(loss_class)) or 'none'}.",
        ) from error
    _try_out(loss, section, num_classes, embedding_dim)
    return loss


def _try_out(
    loss: MetricLoss, section: MetricSection, num_classes: int, embedding_dim: int
) -> None:
    """Options of a wrong type show only in a batch; its draws leave no trace in later ones."""
    with torch.random.fork_rng(devices=[]):
        embeddings = torch.randn(4 * num_classes, embedding_dim)
        try:
            with torch.no_grad():
                value = loss(embeddings, torch.arange(len(embeddings)) % num_classes)
        except Exception as error:
            raise RecipeError(
                f"objective.metric.options: {section.name} fails with {section.options}: "
                f"{type(error).__name__}: {error}.",
                "Look up the types of its options in pytorch-metric-learning's documentation.",
            ) from error
    assert value.ndim == 0, "a reducer gives one number"


@cache
def metric_losses() -> dict[str, Any]:
    """name -> class, of all losses of embeddings and labels."""
    from pytorch_metric_learning import losses

    return {
        name: found
        for name, found in inspect.getmembers(losses, inspect.isclass)
        if issubclass(found, losses.BaseMetricLossFunction) and name not in _NOT_OF_LABELS
    }


def _loss_class(name: str) -> Any:
    known = metric_losses()
    if name not in known:
        why = _NOT_OF_LABELS.get(name)
        raise RecipeError(
            f"objective.metric.name: {name} {why}."
            if why
            else f"objective.metric.name: pytorch-metric-learning has no loss {name!r} of "
            "embeddings and labels.",
            did_you_mean(name, known, limit=3, cutoff=0.4) or f"It has {', '.join(known)}.",
        )
    return known[name]


def _requires(loss_class: Any, name: str) -> bool:
    """Whether the constructor, or one that it hands its keywords on to, must be given `name`."""
    parameter = _parameters(loss_class).get(name)
    return parameter is not None and parameter.default is inspect.Parameter.empty


def _options(loss_class: Any) -> list[str]:
    return [name for name in _parameters(loss_class) if name not in _FILLED]


def _parameters(loss_class: Any) -> dict[str, inspect.Parameter]:
    """Named arguments of the constructor and of those of its bases that **kwargs go on to."""
    found: dict[str, inspect.Parameter] = {}
    for owner in loss_class.__mro__:
        if "__init__" not in owner.__dict__ or owner is nn.Module:
            continue
        for name, parameter in inspect.signature(owner.__init__).parameters.items():
            named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            if named and name != "self":
                found.setdefault(name, parameter)
    return found
