"""AdamW with the papers' parameter groups, and a learning rate that is a pure function of the step.

The rate is not scaled by the batch size, and the schedule has no state, so a resumed run continues the
curve.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from timm.optim import param_groups_layer_decay, param_groups_weight_decay
from timm.utils import ModelEmaV3

from dfray.config import TrainingSection
from dfray.models.backbone import Detector


def build_optimizer(detector: Detector, section: TrainingSection) -> torch.optim.AdamW:
    """Return AdamW over timm's parameter groups.

    No weight decay on 1-D parameters nor on those that the backbone excepts (class token, position
    embedding). With `layer_decay` each group carries `lr_scale`, layer_decay to the power of its
    distance from the head, which has 1 (arXiv 2508.19730 section 4.3).
    """
    backbone = detector.backbone
    excepted = backbone.no_weight_decay() if hasattr(backbone, "no_weight_decay") else ()
    if section.layer_decay is None:
        groups = param_groups_weight_decay(backbone, section.weight_decay, True, excepted)
    else:
        groups = param_groups_layer_decay(
            backbone, section.weight_decay, excepted, layer_decay=section.layer_decay
        )
    return torch.optim.AdamW(groups, lr=section.lr, fused=True)  # a kernel a group, not a dozen


def build_average(detector: Detector, section: TrainingSection) -> ModelEmaV3 | None:
    """Return a moving average of the weights and buffers, if the recipe has one; its network is `.module`.

    After step n (1, 2, ...) its decay is the smaller of `ema` and 1 - n^(-2/3), so that the random start
    does not linger: a function of the step alone, as the rate is.
    """
    if section.ema is None:
        return None
    average = ModelEmaV3(detector, decay=section.ema, use_warmup=True)
    average.module.requires_grad_(False)
    return average


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up to `lr`, then half a cosine down to `min_lr`, step by step."""

    lr: float
    min_lr: float
    warmup_steps: int
    total_steps: int

    @classmethod
    def of(cls, section: TrainingSection, steps_per_epoch: int) -> Schedule:
        return cls(
            lr=section.lr,
            min_lr=section.min_lr,
            warmup_steps=round(section.warmup_epochs * steps_per_epoch),
            total_steps=section.epochs * steps_per_epoch,
        )

    def at(self, step: int) -> float:
        """Return the rate of step 0, 1, ...; the first step of the warm-up has a rate above 0."""
        if step < self.warmup_steps:
            return self.lr * (step + 1) / self.warmup_steps
        cosine_steps = max(1, self.total_steps - self.warmup_steps)
        done = min(1.0, (step - self.warmup_steps) / cosine_steps)
        return self.min_lr + (self.lr - self.min_lr) * (1 + math.cos(math.pi * done)) / 2

    def apply(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Set every group's rate for `step`, scaled by layer-wise decay if the group has it."""
        for group in optimizer.param_groups:
            group["lr"] = self.at(step) * group.get("lr_scale", 1.0)
