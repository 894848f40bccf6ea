"""A toy ViT with a mode of tuning, changed as if it had been trained."""

from __future__ import annotations

import torch
from torch import Tensor

from dfray.config import ModelSection
from dfray.models.backbone import Detector, build_detector


def section_of(tuning: str, **options: object) -> ModelSection:
    start = {"backbone": "test_vit", "size_px": 32, "tuning": tuning}
    return ModelSection.model_validate(start | options)


def detector_of(tuning: str, **options: object) -> Detector:
    torch.manual_seed(0)
    return build_detector(section_of(tuning, **options), 2).eval()


def trained(detector: Detector) -> Detector:
    """Add noise to all that is trained, in place."""
    torch.manual_seed(1)
    for parameter in detector.parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn_like(parameter) * 0.05)
    return detector


def names(detector: Detector) -> set[str]:
    """Of the trained parameters."""
    return {name for name, p in detector.backbone.named_parameters() if p.requires_grad}


def images(size: int = 32) -> Tensor:
    return torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(2))
