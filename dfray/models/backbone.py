"""Detector: any timm backbone by name, its embedding, and a linear head on the embedding.

The classifier is inside the timm model, so that timm's layer groups (layer-wise decay) and names
(published checkpoints) are used without translation.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfray.config import ModelSection
from dfray.errors import RecipeError
from dfray.models import fs_adapter
from dfray.models.checkpoint import LoadedWeights
from dfray.models.fixed_padding import fix_padding
from dfray.models.network import NetworkChanges, create, stated
from dfray.models.tuning import ParameterCounts, apply_tuning, freeze_statistics
from dfray.models.weights import load_weights, require_activation


class Detector(nn.Module):
    """A timm backbone that returns its embedding with the logits.

    The embedding is timm's `forward_head(pre_logits=True)`: the mean of the patch tokens and then
    fc_norm for a ViT (arXiv 2508.19730 section 4.3), the class token after the last norm for CLIP
    (arXiv 2503.19683), the pooled map for a convolutional net. With `normalise` it has length 1, also as the
    head's input. With `before_norm` it is the one before fc_norm; the logits are of the normed one always. An
    FS-Adapter's output follows the normed one.

    Attributes:
        embedding_dim: D, the length of an embedding.
        loaded: the keys of the weights file that were loaded, ignored and fresh, if there was a file.
        changes: what a pretrained network has otherwise than timm's; None: it starts at random.
    """

    backbone: Any  # timm's models share methods, but no type that declares them

    def __init__(
        self,
        backbone: nn.Module,
        *,
        before_norm: bool = False,
        normalise: bool = False,
        loaded: LoadedWeights | None = None,
        changes: NetworkChanges | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.before_norm, self.normalise = before_norm, normalise
        self.loaded, self.changes = loaded, changes
        self.embedding_dim: int = self.backbone.get_classifier().in_features
        super().train()
        freeze_statistics(self.backbone)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) normalised images -> logits (B, C), embeddings (B, D)."""
        features = self.backbone.forward_features(images)
        embeddings = self.backbone.forward_head(features, pre_logits=True)
        if (adapter := getattr(self.backbone, "adapter", None)) is not None:
            embeddings = torch.cat([embeddings, adapter(embeddings)], dim=1)
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
        """Return lines about its start, if it is pretrained, and a line about its trained parameters."""
        start = [str(self.loaded)] if self.loaded else []
        changes = self.changes.lines() if self.changes else []
        return [*start, *changes, str(ParameterCounts.of(self.backbone))]


def build_detector(section: ModelSection, num_classes: int) -> Detector:
    """Return the detector of `section` for `num_classes` classes, its weights loaded, its tuning applied.

    Raises:
        RecipeError: no such backbone, or it does not support the size, pooling, drop path, embedding or
            tuning of the section, or computes another activation than its weights were trained with.
        ModelFileError: the weights cannot be loaded, or do not fit.
    """
    require_activation(section)
    changes = None
    if section.weights:
        section = stated(section)
        changes = NetworkChanges.of(section)
    backbone = create(section, num_classes)
    fix_padding(backbone, section)
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
            "Use pre_logits, or model.pool: avg.",
        )
    loaded = load_weights(backbone, section)
    fs_adapter.attach(backbone, section)
    head = backbone.get_classifier()
    if section.head_init_std is not None:
        nn.init.trunc_normal_(head.weight, std=section.head_init_std)
        if head.bias is not None:
            nn.init.zeros_(head.bias)
    apply_tuning(backbone, section)
    return Detector(
        backbone,
        before_norm=before_norm,
        normalise=section.normalise_embedding,
        loaded=loaded,
        changes=changes,
    )
