"""One step of training, in plain torch: nothing here knows who calls it.

With accumulation a worker's share is taken in parts, one after the other. Gradients are the mean over the
parts. The objective's batch is then one part of every worker: fewer triplets are mined, and batch
statistics are of a part. Cross-entropy alone gives the gradients of the whole batch.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from dfray.batches.augment import Augment, Mixer
from dfray.batches.self_blend import SelfBlend
from dfray.errors import TrainingError
from dfray.losses.gather import average_gradients
from dfray.losses.objective import Head, Objective
from dfray.models.preprocess import channels_first
from dfray.training.optim import Schedule

LESS_STEEP = "Lower training.lr, set training.clip_norm, or lengthen training.warmup_epochs."
"""What to do where training has diverged."""


class NotFiniteError(TrainingError):
    """The loss of a step is not finite.

    Attributes:
        terms: the objective's terms in that step.
    """

    def __init__(self, message: str, hint: str = "", terms: dict[str, float] | None = None) -> None:
        super().__init__(message, hint)
        self.terms = terms or {}


@dataclass(frozen=True)
class TrainStep:
    """What a step needs besides its batch; all of it on one device.

    Attributes:
        model: the Detector, or its wrapper by DistributedDataParallel or torch.compile.
        augment: stored pixels -> what the model wants.
        mix: mixup or cutmix; makes labels soft.
        head: the model's classifier alone, embeddings -> logits; needed with slerp only.
        clip_norm: the largest norm of all gradients together, the objective's own parameters'
            included; none leaves them alone.
        blend: gives each face a fake of its own; none trains on faces as they are.
        accumulate: parts that a batch is taken in; it divides the batch.
        average: a moving average of the weights, kept up step by step.
        dtype: of the model's arithmetic, `compute_dtype`; weights are float32.
    """

    model: nn.Module
    augment: Augment
    objective: Objective
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    clip_norm: float | None = None
    head: Head | None = None
    blend: SelfBlend | None = None
    mix: Mixer | None = None
    accumulate: int = 1
    average: ModelEmaV3 | None = None
    dtype: torch.dtype = torch.float32

    def __call__(
        self, faces: Tensor, labels: Tensor, step: int, landmarks: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Take step number `step` (0, 1, ... over the whole run).

        Args:
            faces: uint8 (B, H, H, 3), this worker's share of the global batch, on any device.
            labels: int64 (B,).
            landmarks: float32 (B, 468, 2), in sides of the crop; what `blend` needs.

        Returns:
            the objective's terms, detached, as means over the parts.

        Raises:
            NotFiniteError: so is the loss; the weights are those of the step before.
        """
        self.model.train()
        self.objective.train()
        self.schedule.apply(self.optimizer, step)
        self.optimizer.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        count = self.accumulate
        assert len(faces) % count == 0, "the recipe's check"
        for part in range(count):
            own = slice(part * len(faces) // count, (part + 1) * len(faces) // count)
            points = None if landmarks is None else landmarks[own]
            images, targets = self._inputs(faces[own], labels[own], points)
            terms = self._backward(images, targets, last=part == count - 1)
            for name, value in terms.items():
                sums[name] = sums[name] + value if name in sums else value
        average_gradients(self.objective)
        if self.clip_norm is not None:
            trained = (*self.model.parameters(), *self.objective.parameters())
            nn.utils.clip_grad_norm_(trained, self.clip_norm)
        self.optimizer.step()
        if self.average:
            self.average.update(self.model, step + 1)
        return {name: value / count for name, value in sums.items()}

    @torch.no_grad()
    def _inputs(
        self, faces: Tensor, labels: Tensor, landmarks: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """What the model and the objective are shown of one part, on the device."""
        device = self.augment.preprocess.mean.device
        faces, labels = (x.to(device, non_blocking=True) for x in (faces, labels))
        images = channels_first(faces)
        if self.blend is not None:
            assert landmarks is not None, "the reader brings them with self_blend"
            pixels = self.augment.preprocess.pixels(faces)
            pixels, labels = self.blend.pairs(pixels, landmarks.to(device, non_blocking=True))
            images = (pixels * 255).round_().to(torch.uint8)
        images = self.augment(images)
        return self.mix(images, labels) if self.mix else (images, labels)

    def _backward(self, images: Tensor, labels: Tensor, *, last: bool) -> dict[str, Tensor]:
        """Add the gradients of one part; workers exchange them with the last."""
        no_sync = None if last else getattr(self.model, "no_sync", None)
        with no_sync() if no_sync else nullcontext():
            logits, embeddings = forward(self.model, images, self.dtype)
            terms = self.objective(logits, embeddings, labels, self.head)
            _require_finite(terms)
            (terms["loss"] / self.accumulate).backward()
        return {name: term.detach() for name, term in terms.items()}


def forward(model: nn.Module, images: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Logits and embeddings, with the arithmetic in `dtype` where autocast finds that safe."""
    enabled = dtype != torch.float32
    with torch.autocast(images.device.type, dtype=dtype if enabled else None, enabled=enabled):
        logits, embeddings = model(images)
    return logits, embeddings


def compute_dtype(precision: str, device: torch.device) -> torch.dtype:
    """What `training.precision` means on `device`."""
    native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    wanted = precision == "bf16" or (precision == "auto" and native)
    return torch.bfloat16 if wanted else torch.float32


def _require_finite(terms: dict[str, Tensor]) -> None:
    if not torch.isfinite(terms["loss"]):
        values = {name: term.item() for name, term in terms.items()}
        told = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        raise NotFiniteError(f"The loss is not finite ({told}).", LESS_STEEP, values)
