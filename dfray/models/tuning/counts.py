"""Numbers of parameters of a network, and of those that are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ParameterCounts:
    """Numbers of parameters; the head is the linear classifier alone.

    Attributes:
        trained: of the backbone, those that are trained, added ones included.
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
