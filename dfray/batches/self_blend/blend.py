"""Pairs of a real view and its self-blended fake (arXiv 2204.08376 section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dfray.batches.self_blend.draws import Draws
from dfray.batches.self_blend.mask import blending_mask
from dfray.batches.self_blend.views import shift_alike, source_and_target
from dfray.config import SelfBlendSection
from dfray.tables import FAKE, REAL


@dataclass(frozen=True)
class Blended:
    """Views and masks of a batch.

    `real` and `fake` float32 (B, 3, S, S) in 0..1, on the 256 levels of stored pixels; `mask` (B, 1, S, S).
    """

    real: Tensor
    fake: Tensor
    mask: Tensor


class SelfBlend(nn.Module):
    """Self-blending of real faces, between `Preprocess.pixels` and augmentation."""

    def __init__(self, section: SelfBlendSection) -> None:
        super().__init__()
        self.section = section

    def forward(self, pixels: Tensor, landmarks: Tensor, draws: Draws | None = None) -> Blended:
        """Return each face's target view, and the same with its source view blended in.

        Both are rounded to whole levels, as a detector could recognise fakes by fractions.

        Args:
            pixels: float32 (B, 3, S, S) in 0..1, real faces.
            landmarks: float32 (B, 468, 2), x and y in sides of the picture, on the same device.
            draws: default: from torch's global generator of the device.
        """
        draws = draws or Draws.fresh(pixels)
        source, target = source_and_target(pixels, draws, self.section)
        mask = blending_mask(landmarks, pixels.shape[-1], draws, self.section)
        fake = source * mask + target * (1 - mask)
        return Blended(_to_levels(target), _to_levels(fake), mask)

    def pairs(
        self, pixels: Tensor, landmarks: Tensor, draws: Draws | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the batch to train on: pixels (2B, 3, S, S), labels int64 (2B,), real, fake alternating."""
        draws = draws or Draws.fresh(pixels)
        blended = self(pixels, landmarks, draws)
        views = blended.real, blended.fake
        if self.section.pair_shift:
            real, fake = shift_alike(views, draws, self.section.pair_shift)
            views = _to_levels(real), _to_levels(fake)
        batch = torch.stack(views, dim=1).flatten(0, 1)
        labels = torch.tensor((REAL, FAKE)).to(pixels.device, non_blocking=True).repeat(len(pixels))
        return batch, labels


def _to_levels(pixels: Tensor) -> Tensor:
    return (pixels * 255).round().div_(255).clamp_(0, 1)
