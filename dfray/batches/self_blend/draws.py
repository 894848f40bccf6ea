"""All the random numbers of a self-blended batch, drawn at once, a row for each face.

So every face has draws of its own, and in validation they can hang on the face alone: the same face
gives the same fake whichever worker blends it, beside whatever others.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor

NUMBERS = 192
"""Enough for one face."""


class Draws:
    """Uniform numbers, float32 (B, NUMBERS) in 0..1; each is handed out once."""

    def __init__(self, numbers: Tensor) -> None:
        self._numbers = numbers
        self._used = 0

    @classmethod
    def fresh(cls, like: Tensor) -> Draws:
        """For a batch as long as `like`, from torch's global generator of its device."""
        return cls(torch.rand(len(like), NUMBERS, device=like.device))

    @classmethod
    def of(cls, landmarks: Tensor, seed: int) -> Draws:
        """For the faces with these landmarks, float32 (B, 468, 2) on the CPU: of both and `seed` alone."""
        rows = []
        for face in landmarks.numpy():
            own = torch.Generator().manual_seed(zlib.crc32(face.tobytes(), seed))
            rows.append(torch.rand(NUMBERS, generator=own))
        return cls(torch.stack(rows))

    def to(self, device: torch.device) -> Draws:
        return Draws(self._numbers.to(device))

    def take(self, count: int) -> Tensor:
        """(B, count), uniform in 0..1."""
        start, self._used = self._used, self._used + count
        assert self._used <= NUMBERS, "NUMBERS is too small"
        return self._numbers[:, start : self._used]

    def between(self, low: float, high: float) -> Tensor:
        """(B, 1, 1, 1), uniform in low..high."""
        return (low + (high - low) * self.take(1))[:, :, None, None]

    def within(self, reach: float) -> Tensor:
        """(B, 1, 1, 1), uniform in -reach..reach."""
        return self.between(-reach, reach)

    def coin(self) -> Tensor:
        """(B, 1, 1, 1) bool, true for half of the faces."""
        return self.take(1)[:, :, None, None] < 0.5

    def one_of(self, values: Sequence[float]) -> Tensor:
        """(B, 1, 1, 1), each of `values` as likely."""
        index = (self.take(1) * len(values)).long().clamp(max=len(values) - 1)
        choice = torch.tensor(values).to(index.device, non_blocking=True)  # a GPU is not waited for
        return choice[index][:, :, None, None]
