"""Detector: any timm backbone by name, its embedding, and a linear head on the embedding.

The classifier is inside the timm model, so that timm's layer groups (layer-wise decay) and names
(published checkpoints) are used without translation.
"""

from __future__ import annotations

from typing import Any

import timm
import torch.nn.functional as F
from safetensors import SafetensorError
from timm.models import is_model_in_modules
from torch import Tensor, nn

from dfray.config import ModelSection
from dfray.errors import ModelFileError, RecipeError, did_you_mean
from dfray.models.checkpoint import LoadedWeights
from dfray.models.tuning import ParameterCounts, apply_tuning, freeze_statistics
from dfray.models.weights import load_weights, require_activation


class Detector(nn.Module):
    """A timm backbone that returns its embedding with the logits.

    The embedding is timm's `forward_head(pre_logits=True)`: the mean of the patch tokens and then
    fc_norm for a ViT (arXiv 2508.19730 section 4.3), the class token after the last norm for CLIP
    (arXiv 2503.19683), the pooled map for a convolutional net. With `normalise` it has length 1, also as the
    head's input. With `before_norm` it is the one before fc_norm; the logits are of the normed one always.

    Attributes:
        embedding_dim: D, the length of an embedding.
        loaded: the keys of the weights file that were loaded, ignored and fresh, if there was a file.
    """

    backbone: Any  # timm's models share methods, but no type that declares them

    def __init__(
        self,
        backbone: nn.Module,
        *,
        before_norm: bool = False,
        normalise: bool = False,
        loaded: LoadedWeights | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.before_norm, self.normalise = before_norm, normalise
        self.loaded = loaded
        self.embedding_dim: int = self.backbone.get_classifier().in_features
        super().train()
        freeze_statistics(self.backbone)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) normalised images -> logits (B, C), embeddings (B, D)."""
        features = self.backbone.forward_features(images)
        embeddings = self.backbone.forward_head(features, pre_logits=True)
        if self.normalise:
            embeddings = F.normalize(embeddings, dim=1)
        logits = self.backbone.get_classifier()(embeddings)
        if self.before_norm:
            embeddings = self.backbone.pool(features)
        return logits, embeddings

    def train(self, mode: bool = True) -> Detector:
        """Set the mode as `nn.Module.train` does; frozen layers stay with their running statistics.

        Each step calls it; it visits all modules, a millisecond or two, only if the mode changes.
        """
        if mode != self.backbone.training:  # torch.compile sets the flag of this module alone
            super().train(mode)
            freeze_statistics(self.backbone)
        return self

    def description(self) -> list[str]:
        """Return a line about its start, if it loaded weights, and a line about its trained parameters."""
        start = [str(self.loaded)] if self.loaded else []
        return [*start, str(ParameterCounts.of(self.backbone))]


def build_detector(section: ModelSection, num_classes: int) -> Detector:
    """Return the detector of `section` for `num_classes` classes, its weights loaded, its tuning applied.

    Raises:
        RecipeError: no such backbone, or it does not support the size, pooling, drop path, embedding or
            tuning of the section, or computes another activation than its weights were trained with.
        ModelFileError: the weights cannot be loaded, or do not fit.
    """
    backbone = _create(section, num_classes)
    head, name = backbone.get_classifier(), section.backbone
    if not isinstance(head, nn.Linear):
        raise RecipeError(
            f"model.backbone: {name} has no single linear head on one embedding.",
            "Choose a backbone with one, such as vit_base_patch16_224 or resnet10t.",
        )
    before_norm = section.embedding == "pooled"
    if before_norm and isinstance(getattr(backbone, "fc_norm", nn.Identity()), nn.Identity):
        raise RecipeError(
            f"model.embedding: pooled is the embedding before fc_norm, which {name} has not.",
            "Use pre_logits.",
        )
    loaded = load_weights(backbone, section)
    if section.head_init_std is not None:
        nn.init.trunc_normal_(head.weight, std=section.head_init_std)
        if head.bias is not None:
            nn.init.zeros_(head.bias)
    apply_tuning(backbone, section)
    return Detector(
        backbone, before_norm=before_norm, normalise=section.normalise_embedding, loaded=loaded
    )


def _create(section: ModelSection, num_classes: int) -> Any:
    """Return the timm model at the section's size, with a fresh head, and timm's weights if it names them."""
    name = section.backbone
    _require_name(name)
    require_activation(section)
    options: dict[str, object] = {"drop_path_rate": section.drop_path or None}  # timm drops None
    plain_vit = is_model_in_modules(name, ["vision_transformer"]) and "_clip_" not in name
    options["global_pool"] = section.pool or ("avg" if plain_vit else None)
    try:
        backbone = timm.create_model(
            name, pretrained=section.weights == "timm", num_classes=num_classes, **options
        )
        if hasattr(backbone, "set_input_size"):  # transformers are built for one size
            backbone.set_input_size(img_size=(section.size_px, section.size_px))
    except (OSError, SafetensorError) as error:
        raise ModelFileError(
            f"model.weights: timm's weights of {name} cannot be downloaded: {error}.",
            "Connect to the hub, set HF_HOME to a cache that holds them or HF_ENDPOINT to a mirror, give "
            "the path or URI of a copy, or leave model.weights out to start at random.",
        ) from error
    except (TypeError, AssertionError, RuntimeError, ValueError) as error:
        raise RecipeError(
            f"model.backbone: timm cannot build {name} with this section: {error}.",
            f"Check model.size_px ({section.size_px}), model.pool ({section.pool}) and model.drop_path "
            f"({section.drop_path}).",
        ) from error
    return backbone


def _require_name(name: str) -> None:
    if not timm.is_model(name):
        raise RecipeError(
            f"model.backbone: timm {timm.__version__} has no model {name!r}.",
            did_you_mean(name, timm.list_models(), limit=3, cutoff=0.5)
            or "See timm.list_models().",
        )
