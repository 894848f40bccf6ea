"""Modes that train layers of the network as they are: its norms, or its last blocks."""

from __future__ import annotations

from typing import Any

from timm.models import group_parameters
from torch import nn

from dfray.config import ModelSection
from dfray.errors import RecipeError


def train_norms(backbone: Any, section: ModelSection) -> None:
    """Train the scale and shift of every normalisation layer (arXiv 2503.19683 tunes CLIP's so).

    Raises:
        RecipeError: the backbone has none.
    """
    # timm's normalisation layers share no base class, but all have it in their names.
    norms = [module for module in backbone.modules() if "norm" in type(module).__name__.lower()]
    parameters = [parameter for module in norms for parameter in module.parameters(recurse=False)]
    if not parameters:
        raise RecipeError(
            f"model.tuning: {section.backbone} has no normalisation layer with parameters.",
            "Use head, last_blocks or full.",
        )
    for parameter in parameters:
        parameter.requires_grad_(True)


def train_last_blocks(backbone: Any, section: ModelSection) -> None:
    """Train the last `tuned_blocks` blocks and whatever follows them.

    A block is a layer of timm's layer-wise decay, the stem not counted.

    Raises:
        RecipeError: the backbone has fewer blocks.
    """
    count = section.tuned_blocks or 0
    layers = group_parameters(backbone, backbone.group_matcher(coarse=False), reverse=True)
    head = max(layers.values())  # the stem is layer 0
    if count > head - 1:
        raise RecipeError(
            f"model.tuned_blocks: {section.backbone} has {head - 1} blocks, not {count}.",
            "Tune fewer, or set model.tuning to full.",
        )
    for key, parameter in backbone.named_parameters():
        parameter.requires_grad_(layers[key] >= head - count)


def freeze_statistics(backbone: nn.Module) -> None:
    """Keep the running statistics of every BatchNorm that is not trained; call it after `train()`."""
    for module in backbone.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            parameters = list(module.parameters(recurse=False))
            if parameters and not any(parameter.requires_grad for parameter in parameters):
                module.eval()
