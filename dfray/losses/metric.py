"""Losses of embeddings and labels by name: pytorch-metric-learning's and those in `dfray.losses.custom`.

The library documents the formula, options and source of each of its losses. Some have parameters
(proxies, class centres): these are trained, and saved in checkpoints, with the objective.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from dfray.config import MetricSection
from dfray.errors import RecipeError, did_you_mean
from dfray.losses.custom import custom_losses

_NOT_OF_LABELS = {
    "BaseMetricLossFunction": "is a base class",
    "GenericPairLoss": "is a base class",
    "ManifoldLoss": "makes up classes of its own",
    "VICRegLoss": "compares two views of a picture and takes no labels",
}
_FILLED = {
    "num_classes": "classes",
    "embedding_size": "size",
    "descriptors_dim": "size",
}
"""Arguments without a default that follow from the model; P2SGradLoss has another name for the size."""


class MetricLoss(nn.Module):
    """A loss of embeddings and labels; its state_dict is that of the wrapped loss."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return a scalar in float32 (float64 of float64), of (B, D) embeddings and (B,) labels."""
        points = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
        with torch.autocast(points.device.type, enabled=False):
            value: Tensor = self.loss(points, labels)
        return value


def build_metric_loss(
    section: MetricSection, *, num_classes: int, embedding_dim: int
) -> MetricLoss:
    """Return the loss that `section` names, tested on a small batch.

    `num_classes` and the size of embeddings are filled in if the loss requires them.

    Raises:
        RecipeError: no such loss, unknown options, or options that it fails with.
    """
    loss_class = _loss_class(section.name)
    key = f"objective.metric.options: {section.name}"
    sizes = {"classes": num_classes, "size": embedding_dim}
    filled = {name: sizes[size] for name, size in _FILLED.items() if _requires(loss_class, name)}
    repeated = sorted(filled.keys() & section.options.keys())
    if repeated:
        raise RecipeError(f"{key} gets {', '.join(repeated)} from the model.", "Leave it out.")
    try:
        loss = MetricLoss(loss_class(**filled, **section.options))
    except Exception as error:  # the library's own checks are of many types
        raise RecipeError(
            f"{key} cannot be built with {section.options}: {type(error).__name__}: {error}.",
            f"Its options are {', '.join(_options(loss_class)) or 'none'}.",
        ) from error
    _try_out(loss, section, num_classes, embedding_dim)
    return loss


def _try_out(
    loss: MetricLoss, section: MetricSection, num_classes: int, embedding_dim: int
) -> None:
    """Compute one batch, as options of a wrong type fail only there; the generator's state is restored."""
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
    """Return name -> class of all losses of embeddings and labels."""
    from pytorch_metric_learning import losses

    library = {
        name: loss
        for name, loss in inspect.getmembers(losses, inspect.isclass)
        if issubclass(loss, losses.BaseMetricLossFunction) and name not in _NOT_OF_LABELS
    }
    return library | custom_losses()


def _loss_class(name: str) -> Any:
    losses = metric_losses()
    if name not in losses:
        reason = _NOT_OF_LABELS.get(name)
        raise RecipeError(
            f"objective.metric.name: {name} {reason}."
            if reason
            else f"objective.metric.name: pytorch-metric-learning has no loss {name!r} of "
            "embeddings and labels.",
            did_you_mean(name, losses, limit=3, cutoff=0.4) or f"It has {', '.join(losses)}.",
        )
    return losses[name]


def _requires(loss_class: Any, name: str) -> bool:
    """Return True if the constructor, or one that receives its keywords, requires `name`."""
    parameter = _parameters(loss_class).get(name)
    return parameter is not None and parameter.default is inspect.Parameter.empty


def _options(loss_class: Any) -> list[str]:
    return [name for name in _parameters(loss_class) if name not in _FILLED]


def _parameters(loss_class: Any) -> dict[str, inspect.Parameter]:
    """Return the named arguments of the constructor and of its bases' that receive its **kwargs."""
    parameters: dict[str, inspect.Parameter] = {}
    for owner in loss_class.__mro__:
        if "__init__" not in owner.__dict__ or owner is nn.Module:
            continue
        for name, parameter in inspect.signature(owner.__init__).parameters.items():
            is_named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            if is_named and name != "self":
                parameters.setdefault(name, parameter)
    return parameters
