"""Detector: any timm backbone by name, its embedding, and a linear head on the embedding.

The classifier is inside the timm model, so that timm's layer groups (layer-wise decay) and names
(published checkpoints) are used without translation.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from dfray.config import ModelSection
from dfray.errors import RecipeError
from dfray.models.checkpoint import LoadedWeights, digest
from dfray.models.fixed_padding import fix_padding
from dfray.models.fs_adapter import adapter_of, attach_adapter
from dfray.models.network import NetworkChanges, create, stated
from dfray.models.tuning import apply_tuning
from dfray.models.tuning.counts import ParameterCounts
from dfray.models.tuning.layers import freeze_statistics
from dfray.models.weights import load_weights, require_activation


class Detector(nn.Module):
    """A timm backbone that returns its embedding with the logits.

    The embedding is timm's `forward_head(pre_logits=True)`: the mean of the patch tokens and then
    fc_norm for a ViT (arXiv 2508.19730 section 4.3), the class token after the last norm for CLIP
    (arXiv 2503.19683), the pooled map for a convolutional net. With `normalise` it has length 1, also as the
    head's input. With `before_norm` it is the one before fc_norm; the logits are of the normed one always. An
    FS-Adapter's output follows the normed one, and with tuning adapter the embedding is its projection.

    Attributes:
        embedding_dim: D, the length of an embedding.
        loaded: the keys of the weights file that were loaded, ignored and fresh, if there was a file.
        changes: what a pretrained network has otherwise than timm's; None: it starts at random.
        frozen: digest of the loaded parameters that are not trained; None: none, or not taken.
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
        frozen: str | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.before_norm, self.normalise = before_norm, normalise
        self.loaded, self.changes, self.frozen = loaded, changes, frozen
        head, adapter = self.backbone.get_classifier(), adapter_of(backbone)
        projector = adapter.projector if adapter else None
        self.embedding_dim: int = projector.out_features if projector else head.in_features
        super().train()
        freeze_statistics(self.backbone)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) normalised images -> logits (B, C), embeddings (B, D)."""
        features = self.backbone.forward_features(images)
        embeddings = self.backbone.forward_head(features, pre_logits=True)
        projected = None
        if (adapter := adapter_of(self.backbone)) is not None:
            embeddings, projected = adapter(embeddings)
        if self.normalise:
            embeddings = F.normalize(embeddings, dim=1)
        logits = self.backbone.get_classifier()(embeddings)
        if projected is not None:
            embeddings = projected
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


def build_detector(
    section: ModelSection, num_classes: int, *, identify_frozen: bool = False
) -> Detector:
    """Return the detector of `section` for `num_classes` classes, its weights loaded, its tuning applied.

    Args:
        identify_frozen: take the digest of what is not trained, a second for each GB.

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
    _require_embedding(backbone, section)
    loaded = load_weights(backbone, section)
    head = {*backbone.get_classifier().parameters()}
    pretrained = [(key, value) for key, value in backbone.named_parameters() if value not in head]
    attach_adapter(backbone, section)
    apply_tuning(backbone, section)
    _start_head(backbone, section)
    frozen = [(key, value) for key, value in pretrained if not value.requires_grad]
    return Detector(
        backbone,
        before_norm=section.embedding == "pooled",
        normalise=section.normalise_embedding,
        loaded=loaded,
        changes=changes,
        frozen=digest(frozen) if frozen and identify_frozen else None,
    )


def _require_embedding(backbone: Any, section: ModelSection) -> None:
    """Check that the timm model has one linear head, and the embedding that the section asks for.

    Raises:
        RecipeError: it has not.
    """
    name = section.backbone
    if not isinstance(backbone.get_classifier(), nn.Linear):
        raise RecipeError(
            f"model.backbone: {name} has no single linear head on one embedding.",
            "Choose a backbone with one, such as vit_base_patch16_224 or resnet10t.",
        )
    has_fc_norm = not isinstance(getattr(backbone, "fc_norm", nn.Identity()), nn.Identity)
    if section.embedding == "pooled" and not has_fc_norm:
        raise RecipeError(
            f"model.embedding: pooled is the embedding before fc_norm, which {name} has not.",
            "Use pre_logits, or model.pool: avg.",
        )


def _start_head(backbone: Any, section: ModelSection) -> None:
    """Draw the head's initial weights as the section asks, if it does."""
    if section.head_init_std is None:
        return
    head = backbone.get_classifier()
    nn.init.trunc_normal_(head.weight, std=section.head_init_std)
    if head.bias is not None:
        nn.init.zeros_(head.bias)
