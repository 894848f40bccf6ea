"""FS-Adapter (arXiv 2510.10663): a bottleneck on the embedding, whose output the head reads beside it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from dfray.config import ModelSection
from dfray.errors import RecipeError


class FSAdapter(nn.Module):
    """Two linear layers without bias, each with a ReLU; (B, D) -> (B, D).

    Args:
        dim: D of the embedding.
        reduction: D over the width of the bottleneck.
    """

    def __init__(self, dim: int, reduction: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(dim, dim // reduction, bias=False)
        self.linear2 = nn.Linear(dim // reduction, dim, bias=False)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return the adapter's half of what the head reads."""
        return self.linear2(self.linear1(embeddings).relu()).relu()  # type: ignore[no-any-return]


def attach(backbone: Any, section: ModelSection) -> None:
    """Give a timm ViT the adapter of its section, and a head that reads twice as much, in place.

    Raises:
        RecipeError: the backbone keeps its head elsewhere than ViTs do, or is narrower than the reduction.
    """
    if section.fs_adapter is None:
        return
    head = backbone.get_classifier()
    is_vit = getattr(backbone, "head", None) is head
    if not is_vit or head.in_features < section.fs_adapter:
        raise RecipeError(
            f"model.fs_adapter: {section.fs_adapter} does not fit {section.backbone}.",
            f"Use a ViT, and a reduction of at most the width of its embedding ({head.in_features}).",
        )
    backbone.adapter = FSAdapter(head.in_features, section.fs_adapter)
    backbone.head = nn.Linear(2 * head.in_features, head.out_features)
