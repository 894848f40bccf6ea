"""One step of training, in plain torch, independent of Ray.

With accumulation a worker's share is divided into micro-batches, and gradients are the mean over them. The
objective's batch is then one micro-batch of every worker: fewer triplets are mined, and batch statistics
are of a micro-batch. Only cross-entropy gives the gradients of the full batch.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from dfray.batches.augment import Augment, Mixer
from dfray.batches.self_blend import SelfBlend
from dfray.losses.gather import average_gradients
from dfray.losses.objective import Head, Objective
from dfray.models.preprocess import channels_first
from dfray.training.finite import FiniteGuard
from dfray.training.optim import Schedule
from dfray.training.sharding import clip_gradients

Terms = Callable[
    [nn.Module, Objective, Tensor, Tensor, Head | None, torch.dtype], dict[str, Tensor]
]
"""Model, objective, images, labels, head and dtype -> the objective's terms; `compute_terms`."""


def compute_terms(
    model: nn.Module,
    objective: Objective,
    images: Tensor,
    labels: Tensor,
    head: Head | None,
    dtype: torch.dtype,
) -> dict[str, Tensor]:
    """Return the objective's terms for one micro-batch, with their graph."""
    logits, embeddings = forward(model, images, dtype)
    return objective(logits, embeddings, labels, head)  # type: ignore[no-any-return]


def compiled_terms(device: torch.device) -> Terms:
    """Return `compute_terms` compiled: network and objective are one graph forward and one backward.

    On a GPU each graph is captured with its kernels (CUDA graphs) and replayed, so Python has a few
    operations to dispatch where it had a thousand. The optimizer's fused kernels stay outside: its rate
    changes in each step, and a number in a captured graph does not.
    """
    mode = "reduce-overhead" if device.type == "cuda" else None
    compiled: Terms = torch.compile(compute_terms, mode=mode)
    return compiled


@dataclass(frozen=True)
class TrainStep:
    """One optimizer step over a batch; all of its modules are on one device.

    Attributes:
        model: the Detector, or its wrapper by DistributedDataParallel.
        augment: stored pixels -> the model's input.
        mix: mixup or cutmix; makes labels soft.
        head: the model's classifier, embeddings -> logits; used with slerp only.
        clip_norm: the largest norm of all gradients, those of the objective's parameters included;
            None: no clipping.
        blend: makes a fake of each face; None: train on the faces unchanged.
        accumulate: micro-batches of a batch; it divides the batch.
        average: a moving average of the weights, updated each step.
        dtype: of the model's arithmetic, `compute_dtype`; weights are float32.
        guard: tells of losses that are not finite.
        terms: `compute_terms`, or what `compiled_terms` returned.
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
    guard: FiniteGuard = field(default_factory=FiniteGuard)
    terms: Terms = compute_terms

    def __call__(
        self, faces: Tensor, labels: Tensor, step: int, landmarks: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Take step number `step` (0, 1, ... over the whole run).

        Args:
            faces: uint8 (B, H, H, 3), this worker's share of the global batch, on any device.
            labels: int64 (B,).
            landmarks: float32 (B, 468, 2), in sides of the crop; used by `blend`.

        Returns:
            the objective's terms, detached, as means over the micro-batches.

        Raises:
            NotFiniteError: the loss is not finite, of this step or, on a GPU, of one of the last
                `GPU_LAG`; the weights are those of the step before it.
        """
        self.model.train()
        self.objective.train()
        self.schedule.apply(self.optimizer, step)
        self.optimizer.zero_grad(set_to_none=True)
        # captured gradients live for the whole step
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        sums: dict[str, Tensor] = {}
        count = self.accumulate
        assert len(faces) % count == 0, "the recipe's check"
        for micro in range(count):
            rows = slice(micro * len(faces) // count, (micro + 1) * len(faces) // count)
            points = None if landmarks is None else landmarks[rows]
            images, targets = self._inputs(faces[rows], labels[rows], points)
            terms = self._backward(images, targets, step, last=micro == count - 1)
            for name, value in terms.items():
                sums[name] = sums[name] + value if name in sums else value
        average_gradients(self.objective)
        if self.clip_norm is not None:
            trained = (*self.model.parameters(), *self.objective.parameters())
            clip_gradients(trained, self.clip_norm)
        self._change_weights()
        if self.average:
            self.average.update(self.model, step + 1)
        return sums

    @torch.no_grad()
    def _inputs(
        self, faces: Tensor, labels: Tensor, landmarks: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return images and targets of one micro-batch, on the device."""
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

    def _change_weights(self) -> None:
        if self.guard.broken is not None:
            # the fused kernels' own flag, of torch.amp.GradScaler: 1 leaves weights and moments
            self.optimizer.found_inf = self.guard.broken  # type: ignore[attr-defined]
        self.optimizer.step()

    def _backward(
        self, images: Tensor, labels: Tensor, step: int, *, last: bool
    ) -> dict[str, Tensor]:
        """Add the gradients of one micro-batch; workers exchange them with the last."""
        no_sync = None if last else getattr(self.model, "no_sync", None)
        with no_sync() if no_sync else nullcontext():
            terms = self.terms(self.model, self.objective, images, labels, self.head, self.dtype)
            self.guard.watch(terms, step)
            (terms["loss"] / self.accumulate).backward()  # type: ignore[no-untyped-call]
        # copies, as a captured graph writes its next terms into the same memory
        return {name: term.detach() / self.accumulate for name, term in terms.items()}


def forward(model: nn.Module, images: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return logits and embeddings, computed in `dtype` where autocast allows it."""
    enabled = dtype != torch.float32
    with torch.autocast(images.device.type, dtype=dtype if enabled else None, enabled=enabled):
        logits, embeddings = model(images)
    return logits, embeddings


def compute_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype of `training.precision` on `device`."""
    native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    use_bf16 = precision == "bf16" or (precision == "auto" and native)
    return torch.bfloat16 if use_bf16 else torch.float32
