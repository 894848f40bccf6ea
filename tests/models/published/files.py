"""Smaller networks of published detectors, and the comparison of logits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from dfray.models.published import DETECTORS, PublishedDetector


def smaller(name: str, **section: Any) -> PublishedDetector:
    """The published detector `name` with keys of its network replaced."""
    detector = DETECTORS[name]
    return replace(detector, section=detector.section.model_copy(update=section))


def relative_error(found: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest expected value."""
    return ((found - expected).abs().max() / expected.abs().max()).item()
