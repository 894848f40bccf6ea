"""Activation checkpointing: blocks computed again in the backward pass (arXiv 1604.06174)."""

from __future__ import annotations

from torch import nn

from dfray.config import Recipe
from dfray.errors import RecipeError
from dfray.models.backbone import Detector


def checkpoint_activations(detector: Detector, name: str) -> None:
    """Let the blocks of a timm model keep their inputs alone for the backward pass, in place.

    Raises:
        RecipeError: timm has no checkpointing for the backbone `name`.
    """
    try:
        detector.backbone.set_grad_checkpointing(True)
    except (AssertionError, AttributeError) as error:
        raise RecipeError(
            f"training.activation_checkpointing: timm has none for {name}.",
            "Set it to false, and raise training.accumulate instead.",
        ) from error


def require_no_statistics(detector: Detector, recipe: Recipe) -> None:
    """Check that the network has no running statistics that the recipe's ways to save memory would falsify.

    Raises:
        RecipeError: it has BatchNorm that is trained: a block computed twice counts its batch twice, and
            sharded workers would each keep their own.
    """
    section = recipe.training
    keys = [f"parallelism: {section.parallelism}"] if section.parallelism == "fsdp" else []
    keys += ["activation_checkpointing"] if section.activation_checkpointing else []
    batch_norm = nn.modules.batchnorm._BatchNorm
    if keys and any(isinstance(m, batch_norm) and m.training for m in detector.modules()):
        raise RecipeError(
            f"training.{keys[0]} does not go with the BatchNorm of {recipe.model.backbone}, whose statistics "
            "it would falsify.",
            "Use a network without BatchNorm, such as a ViT, or raise training.accumulate instead.",
        )
