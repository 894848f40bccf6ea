"""Low-rank adaptation (arXiv 2106.09685) by peft: a trained product of rank r beside frozen linear layers."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from dfray.config import ModelSection
from dfray.errors import RecipeError
from dfray.models.tuning.targets import linear_targets

DEFAULT_RANK = 8
_NAME = "default"  # of peft's only adapter


def add(backbone: Any, section: ModelSection) -> None:
    """Add W + (alpha / r) B A to the section's targets, in place; B is 0 at the start.

    The names of the layers stay, so that timm's groups of layer-wise decay hold.

    Raises:
        RecipeError: peft is not installed, a target is unknown, or a layer reads weights past its linear
            layers.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise RecipeError(
            "model.tuning: lora needs peft, which is not installed.",
            "Install it: pip install 'dfray[adapters]'.",
        ) from error

    targets = linear_targets(backbone, section)
    for name in targets:
        _apply_bias_apart(backbone, section, name)
    rank = section.tuning_rank or DEFAULT_RANK
    config = LoraConfig(r=rank, lora_alpha=section.lora_alpha or rank, target_modules=targets)
    inject_adapter_in_model(config, backbone, adapter_name=_NAME)


def is_added(module: nn.Module) -> bool:
    """Return True if the module is a linear layer of peft's."""
    return hasattr(module, "lora_A") and hasattr(module, "get_delta_weight")


def merged(module: Any) -> dict[str, Tensor]:
    """Return weight and bias of the plain linear layer that computes the same."""
    layer: dict[str, Tensor] = module.get_base_layer().state_dict()
    return layer | {"weight": layer["weight"] + module.get_delta_weight(_NAME).detach()}


def _apply_bias_apart(backbone: Any, section: ModelSection, name: str) -> None:
    """Let an attention layer with biases of its own call its linear layer, where peft's product is.

    EVA's layers read the linear layer's weight and add a bias of query and value; they can do either.

    Raises:
        RecipeError: the layer only reads the weight, and the product would have no effect.
    """
    parent, _, attribute = name.rpartition(".")
    attention = backbone.get_submodule(parent)
    if attribute != "qkv" or getattr(attention, "q_bias", None) is None:
        return
    if not hasattr(attention, "qkv_bias_separate"):
        raise RecipeError(
            f"model.tuning: {section.backbone} reads the weight of {name} past its layer, so that lora "
            "would have no effect.",
            "Use model.tuning: svd, or name other layers in model.tuning_targets.",
        )
    attention.qkv_bias_separate = True
