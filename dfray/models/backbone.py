"""The detector: any timm backbone by name, its embedding, and a linear head on the embedding.

The classifier is timm's own, inside the timm model, so that timm's layer groups (layer-wise decay)
and names (published checkpoints) hold without translation.
"""

from __future__ import annotations

import difflib
from typing import Any

import timm
from timm.models import is_model_in_modules
from torch import Tensor, nn

from dfray.config import ModelSection
from dfray.errors import ModelFileError, RecipeError


class Detector(nn.Module):
    """A timm backbone whose embedding is given beside the logits.

    The embedding is timm's `forward_head(pre_logits=True)`: the mean of the patch tokens and then
    fc_norm for a ViT (arXiv 2508.19730 section 4.3), the pooled map for a convolutional net. With
    `before_norm` it is taken before fc_norm; the logits are of the normed one either way.

    Attributes:
        embedding_dim: D, the length of an embedding.
    """

    backbone: Any  # timm's models share methods, but no type that declares them

    def __init__(self, backbone: nn.Module, *, before_norm: bool = False) -> None:
        super().__init__()
        self.backbone = backbone
        self.before_norm = before_norm
        self.embedding_dim: int = self.backbone.get_classifier().in_features

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) normalised images -> logits (B, C), embeddings (B, D)."""
        features = self.backbone.forward_features(images)
        embeddings = self.backbone.forward_head(features, pre_logits=True)
        logits = self.backbone.get_classifier()(embeddings)
        if self.before_norm:
            embeddings = self.backbone.pool(features)
        return logits, embeddings


def build_detector(section: ModelSection, num_classes: int) -> Detector:
    """The detector of `section` for `num_classes` classes, with fresh or timm's own weights.

    Raises:
        RecipeError: no such backbone, or it does not take the size, drop path or embedding asked.
        ModelFileError: timm's weights can neither be fetched nor found in its cache.
    """
    backbone = _create(section, num_classes)
    name = section.backbone
    if not isinstance(backbone.get_classifier(), nn.Linear):
        raise RecipeError(
            f"model.backbone: {name} has no single linear head on one embedding.",
            "Choose a backbone with one, such as vit_base_patch16_224 or resnet10t.",
        )
    before_norm = section.embedding == "pooled"
    if before_norm and not (hasattr(backbone, "pool") and hasattr(backbone, "fc_norm")):
        raise RecipeError(
            f"model.embedding: pooled is the embedding before fc_norm, which {name} has not.",
            "Use pre_logits.",
        )
    return Detector(backbone, before_norm=before_norm)


def _create(section: ModelSection, num_classes: int) -> Any:
    name = section.backbone
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
        raise RecipeError(
            f"model.backbone: timm {timm.__version__} has no model {name!r}.",
            f"The nearest are {', '.join(near)}." if near else "See timm.list_models().",
        )
    options: dict[str, object] = {}
    if is_model_in_modules(name, "vision_transformer"):
        options["global_pool"] = "avg"  # timm's default for most is the class token
    if section.drop_path:
        options["drop_path_rate"] = section.drop_path
    try:
        backbone = timm.create_model(
            name, pretrained=section.pretrained, num_classes=num_classes, **options
        )
        if hasattr(backbone, "set_input_size"):  # transformers are built for one size
            backbone.set_input_size(img_size=(section.size_px, section.size_px))
    except OSError as error:
        raise ModelFileError(
            f"model.pretrained: timm's weights of {name} cannot be had: {error}.",
            "Connect to the hub once to fill its cache, or set model.pretrained to false.",
        ) from error
    except (TypeError, AssertionError, RuntimeError, ValueError) as error:
        raise RecipeError(
            f"model.backbone: timm cannot build {name} as asked: {error}.",
            f"Check model.size_px ({section.size_px}) and model.drop_path ({section.drop_path}).",
        ) from error
    return backbone
