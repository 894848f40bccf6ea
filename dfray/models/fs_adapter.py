"""FS-Adapter (arXiv 2510.10663): a bottleneck on the embedding, whose output the head reads beside it.

With tuning adapter a projection of the bottleneck is the embedding of the losses; the paper trains it by its
real-anchor contrastive loss (`dfray.losses.custom.real_anchor`). Scores do not depend on it.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfray.config import ModelSection
from dfray.errors import RecipeError


class FSAdapter(nn.Module):
    """Two linear layers without bias, each with a ReLU, and a projection of what is between them.

    Args:
        dim: D of the embedding.
        reduction: D over the width W of the bottleneck.
        projects: it has the projection.
    """

    def __init__(self, dim: int, reduction: int, *, projects: bool = False) -> None:
        super().__init__()
        width = dim // reduction
        self.linear1 = nn.Linear(dim, width, bias=False)
        self.linear2 = nn.Linear(width, dim, bias=False)
        self.projector = nn.Linear(width, width) if projects else None

    def forward(self, embeddings: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, D) -> what the head reads (B, 2 D), and the projection (B, W) of length 1, if it has one."""
        narrow = self.linear1(embeddings).relu()
        read = torch.cat([embeddings, self.linear2(narrow).relu()], dim=1)
        return read, F.normalize(self.projector(narrow), dim=1) if self.projector else None


def attach_adapter(backbone: Any, section: ModelSection) -> None:
    """Give a timm ViT the adapter of its section, and a head that reads twice as much, in place.

    Raises:
        RecipeError: the backbone keeps its head elsewhere than ViTs do, or is narrower than the reduction.
    """
    reduction = section.adapter_reduction
    if reduction is None:
        return
    head = backbone.get_classifier()
    is_vit = getattr(backbone, "head", None) is head
    if not is_vit or head.in_features < reduction:
        raise RecipeError(
            f"model.fs_adapter: {reduction} does not fit {section.backbone}.",
            f"Use a ViT, and a reduction of at most the width of its embedding ({head.in_features}).",
        )
    projects = section.tuning == "adapter"
    backbone.adapter = FSAdapter(head.in_features, reduction, projects=projects)
    backbone.head = nn.Linear(2 * head.in_features, head.out_features)


def adapter_of(backbone: nn.Module) -> FSAdapter | None:
    """Return the adapter of a timm model, if it has one."""
    return getattr(backbone, "adapter", None)
