"""One step of training, in plain torch: nothing here knows who calls it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dfray.batches.augment import Augment
from dfray.batches.self_blend import SelfBlend
from dfray.errors import TrainingError
from dfray.losses.gather import average_gradients
from dfray.losses.objective import Head, Objective
from dfray.models.preprocess import Preprocess
from dfray.training.optim import Schedule


class NotFiniteError(TrainingError):
    """The loss of a step is not finite.

    Attributes:
        terms: the objective's terms in that step.
    """

    def __init__(self, message: str, mend: str = "", terms: dict[str, float] | None = None) -> None:
        super().__init__(message, mend)
        self.terms = terms or {}


@dataclass(frozen=True)
class TrainStep:
    """What a step needs besides its batch; all of it on one device.

    Attributes:
        model: the Detector, or its DistributedDataParallel wrapper.
        head: the model's classifier alone, embeddings -> logits; needed with slerp only.
        clip_norm: the largest gradient norm; none leaves gradients alone.
        blend: gives each face a fake of its own; none trains on faces as they are.
    """

    model: nn.Module
    preprocess: Preprocess
    augment: Augment
    objective: Objective
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    clip_norm: float | None = None
    head: Head | None = None
    blend: SelfBlend | None = None

    def __call__(
        self, faces: Tensor, labels: Tensor, step: int, landmarks: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Take step number `step` (0, 1, ... over the whole run).

        Args:
            faces: uint8 (B, H, H, 3), this worker's share of the global batch, on any device.
            labels: int64 (B,).
            landmarks: float32 (B, 468, 2), in sides of the crop; what `blend` needs.

        Returns:
            the objective's terms, detached.

        Raises:
            NotFiniteError: so is the loss; the weights are those of the step before.
        """
        self.model.train()
        self.objective.train()
        self.schedule.apply(self.optimizer, step)
        device = self.preprocess.mean.device
        with torch.no_grad():
            pixels = self.preprocess.pixels(faces.to(device, non_blocking=True))
            labels = labels.to(device, non_blocking=True)
            if self.blend is not None:
                assert landmarks is not None, "the reader brings them with self_blend"
                pixels, labels = self.blend.pairs(pixels, landmarks.to(device, non_blocking=True))
            images = self.preprocess.normalise(self.augment(pixels))
        logits, embeddings = forward(self.model, images)
        terms = self.objective(logits, embeddings, labels, self.head)
        _require_finite(terms, step)
        self.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        average_gradients(self.objective)
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
        return {name: term.detach() for name, term in terms.items()}


def forward(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and embeddings, in bfloat16 where the device computes in it, else float32."""
    bf16 = images.is_cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=bf16):
        logits, embeddings = model(images)
    return logits, embeddings


def _require_finite(terms: dict[str, Tensor], step: int) -> None:
    if not torch.isfinite(terms["loss"]):
        values = {name: term.item() for name, term in terms.items()}
        told = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        raise NotFiniteError(
            f"The loss of step {step} is not finite ({told}).",
            "Lower training.lr, set training.clip_norm, or lengthen training.warmup_epochs.",
            values,
        )
