"""Trained parameters: all, or the head with the normalisation layers, the last blocks or nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from timm.models import group_parameters
from torch import nn

from dfray.config import ModelSection
from dfray.errors import RecipeError


@dataclass(frozen=True)
class ParameterCounts:
    """Numbers of parameters; the head is the linear classifier alone.

    Attributes:
        trained: of the backbone, those that are trained.
        backbone: all of the backbone.
        head: of the head, all trained.
    """

    trained: int
    backbone: int
    head: int

    @classmethod
    def of(cls, backbone: Any) -> ParameterCounts:
        """Count the parameters of a timm model with its classifier."""
        head = sum(p.numel() for p in backbone.get_classifier().parameters())
        trained = sum(p.numel() for p in backbone.parameters() if p.requires_grad)
        total = sum(p.numel() for p in backbone.parameters())
        return cls(trained - head, total - head, head)

    @property
    def all(self) -> int:
        return self.backbone + self.head

    @property
    def all_trained(self) -> int:
        return self.trained + self.head

    def __str__(self) -> str:
        return (
            f"{self.trained:,} of {self.backbone:,} backbone parameters are trained "
            f"({self.trained / self.backbone:.3%}), and {self.head:,} of the head"
        )


def apply_tuning(backbone: Any, section: ModelSection) -> None:
    """Set which parameters of a timm model are trained, in place; an FS-Adapter is trained with the head.

    `head` leaves the linear classifier; `norm_layers` adds the scale and shift of every normalisation
    layer (arXiv 2503.19683 tunes CLIP's LayerNorms so); `last_blocks` adds the last blocks and whatever
    follows them. A block is a layer of timm's layer-wise decay, the stem not counted.

    Raises:
        RecipeError: the backbone lacks such layers or so many blocks.
    """
    if section.tuning == "full":
        return
    backbone.requires_grad_(False)
    if section.tuning == "norm_layers":
        _train_norms(backbone, section.backbone)
    elif section.tuned_blocks is not None:
        _train_last_blocks(backbone, section.backbone, section.tuned_blocks)
    backbone.get_classifier().requires_grad_(True)
    if (adapter := getattr(backbone, "adapter", None)) is not None:
        adapter.requires_grad_(True)


def freeze_statistics(backbone: nn.Module) -> None:
    """Keep the running statistics of every BatchNorm that is not trained; call it after `train()`."""
    for module in backbone.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            parameters = list(module.parameters(recurse=False))
            if parameters and not any(parameter.requires_grad for parameter in parameters):
                module.eval()


def _train_norms(backbone: nn.Module, name: str) -> None:
    # timm's normalisation layers share no base class, but all have it in their names.
    norms = [module for module in backbone.modules() if "norm" in type(module).__name__.lower()]
    parameters = [parameter for module in norms for parameter in module.parameters(recurse=False)]
    if not parameters:
        raise RecipeError(
            f"model.tuning: {name} has no normalisation layer with parameters.",
            "Use head, last_blocks or full.",
        )
    for parameter in parameters:
        parameter.requires_grad_(True)


def _train_last_blocks(backbone: Any, name: str, count: int) -> None:
    layers = group_parameters(backbone, backbone.group_matcher(coarse=False), reverse=True)
    head = max(layers.values())  # the stem is layer 0
    if count > head - 1:
        raise RecipeError(
            f"model.tuned_blocks: {name} has {head - 1} blocks, not {count}.",
            "Tune fewer, or set model.tuning to full.",
        )
    for key, parameter in backbone.named_parameters():
        parameter.requires_grad_(layers[key] >= head - count)
