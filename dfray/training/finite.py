"""Losses that are not finite: told with their step, and no GPU is waited for in each step.

From the first such loss on the weights stay, as the optimizer's fused kernels are told so on the device. The
host reads the losses some steps later, in the order of the steps, and at the latest before anything is saved.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dfray.errors import TrainingError
from dfray.training.sharding import held

DIVERGED_HINT = "Lower training.lr, set training.clip_norm, or lengthen training.warmup_epochs."
"""Hint for a training that has diverged."""
GPU_LAG = 4
"""Losses that a GPU may owe; more steps in its queue would not feed it better."""


class NotFiniteError(TrainingError):
    """The loss of a step is not finite.

    Attributes:
        terms: the objective's terms in that step.
        step: its number, from 0 over the whole run.
    """

    def __init__(
        self, message: str, hint: str = "", terms: dict[str, float] | None = None, step: int = 0
    ) -> None:
        super().__init__(message, hint)
        self.terms, self.step = terms or {}, step


@dataclass
class FiniteGuard:
    """Watch over the losses of a training.

    Attributes:
        lag: losses that may be unread; 0: each is read at once, before its gradients are computed. None: 0
            on a CPU, `GPU_LAG` on a GPU.
        broken: float32 scalar on the device, 1 from the first loss on that is not finite on any worker;
            None as long as each loss is read at once.
    """

    lag: int | None = None
    broken: Tensor | None = None
    _unread: deque[_Loss] = field(default_factory=deque)

    def watch(self, terms: dict[str, Tensor], step: int) -> None:
        """Take note of the objective's terms in step number `step`, and read those that are due.

        Every worker must call it.

        Raises:
            NotFiniteError: a loss was not finite, of this step or of an earlier one.
        """
        loss = terms["loss"].detach()
        if self.lag is None:
            self.lag = GPU_LAG if loss.is_cuda else 0
        if self.lag:
            self._mark(loss)
        self._unread.append(_Loss.copied(terms, step))
        while self._unread and (len(self._unread) > self.lag or self._unread[0].has_come()):
            self._unread.popleft().require_finite()

    def settle(self) -> None:
        """Read all losses, waiting for the device.

        Raises:
            NotFiniteError: one was not finite.
        """
        while self._unread:
            self._unread.popleft().require_finite()

    def _mark(self, loss: Tensor) -> None:
        broken = loss.isfinite().logical_not_().float()
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(broken, op=dist.ReduceOp.MAX)
        self.broken = broken if self.broken is None else torch.maximum(self.broken, broken)


@dataclass(frozen=True)
class _Loss:
    """A step's terms, on their way to the host."""

    step: int
    names: tuple[str, ...]
    values: Tensor
    copied_at: torch.cuda.Event | None

    @classmethod
    def copied(cls, terms: dict[str, Tensor], step: int) -> _Loss:
        values = torch.stack([term.detach() for term in terms.values()])
        on_host = values.to("cpu", non_blocking=True)
        event = torch.cuda.current_stream(values.device).record_event() if values.is_cuda else None
        return cls(step, tuple(terms), on_host, event)

    def has_come(self) -> bool:
        return self.copied_at is not None and bool(self.copied_at.query())  # type: ignore[no-untyped-call]

    def require_finite(self) -> None:
        if self.copied_at is not None:
            self.copied_at.synchronize()
        values = dict(zip(self.names, self.values.tolist(), strict=True))
        if not abs(values["loss"]) < torch.inf:
            listed = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            message = f"The loss is not finite ({listed})."
            raise NotFiniteError(message, DIVERGED_HINT, values, self.step)


def require_finite_weights(network: nn.Module) -> None:
    """Refuse a network with weights that are not finite.

    Raises:
        TrainingError: it has some.
    """
    finite = [held(parameter).isfinite().all() for parameter in network.parameters()]
    if not torch.stack(finite).all():
        bad = [
            name
            for (name, _), good in zip(network.named_parameters(), finite, strict=True)
            if not good
        ]
        raise TrainingError(
            f"Weights of the network are not finite, and are not saved: {', '.join(bad[:3])}"
            f"{f' and {len(bad) - 3} more' if len(bad) > 3 else ''}.",
            DIVERGED_HINT,
        )
