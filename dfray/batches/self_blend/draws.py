"""Random numbers of a self-blended batch, drawn at once, a row for each face.

So the draws of a face do not depend on the other faces, and in validation they are a function of the face:
the same face gives the same fake in every batch and on every worker.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor

NUMBERS = 192
"""Enough for one face."""


class Draws:
    """Uniform numbers, float32 (B, NUMBERS) in 0..1; each is used once."""

    def __init__(self, numbers: Tensor) -> None:
        self._numbers = numbers
        self._used = 0

    @classmethod
    def fresh(cls, like: Tensor) -> Draws:
        """Draw for a batch as long as `like`, from torch's global generator of its device."""
        return cls(torch.rand(len(like), NUMBERS, device=like.device))

    @classmethod
    def of(cls, landmarks: Tensor, seed: int) -> Draws:
        """Draw for faces by their landmarks, float32 (B, 468, 2) on the CPU, and `seed`, and nothing else."""
        rows = []
        for face in landmarks.numpy():
            generator = torch.Generator().manual_seed(zlib.crc32(face.tobytes(), seed))
            rows.append(torch.rand(NUMBERS, generator=generator))
        return cls(torch.stack(rows))

    def to(self, device: torch.device) -> Draws:
        return Draws(self._numbers.to(device))

    def take(self, count: int) -> Tensor:
        """Return the next numbers, (B, count), uniform in 0..1."""
        start, self._used = self._used, self._used + count
        assert self._used <= NUMBERS, "NUMBERS is too small"
        return self._numbers[:, start : self._used]

    def between(self, low: float, high: float) -> Tensor:
        """Return (B, 1, 1, 1), uniform in low..high."""
        return (low + (high - low) * self.take(1))[:, :, None, None]

    def within(self, reach: float) -> Tensor:
        """Return (B, 1, 1, 1), uniform in -reach..reach."""
        return self.between(-reach, reach)

    def coin(self) -> Tensor:
        """Return (B, 1, 1, 1) bool, true with probability 1/2."""
        return self.take(1)[:, :, None, None] < 0.5

    def one_of(self, values: Sequence[float]) -> Tensor:
        """Return (B, 1, 1, 1), each of `values` with equal probability."""
        index = (self.take(1) * len(values)).long().clamp(max=len(values) - 1)
        choice = torch.tensor(values).to(index.device, non_blocking=True)  # a GPU is not waited for
        return choice[index][:, :, None, None]
