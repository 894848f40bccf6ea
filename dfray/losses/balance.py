"""Weight that makes two terms of the objective equal in size, measured once and then constant.

arXiv 2508.19730 section 4.3 chose w "such that the BCE and triplet loss components contributed comparably"
and prints no value. This measures one: our rule, not the paper's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dfray.errors import TrainingError
from dfray.losses.gather import gather


class BalancedWeight(nn.Module):
    """w = (sum of the reference's values) / (sum of the term's values) over the first batches.

    While it measures, w is the ratio of the sums so far. It is settled after so many `batches`, or when
    `settle` is called; from then on w is constant. It is part of the state_dict.
    """

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.batches = batches
        self._sums = [0.0, 0.0]
        self._batches_measured = 0
        self._settled: float | None = None

    @property
    def value(self) -> float:
        """w, or the ratio so far; 0 as long as the term has been 0."""
        if self._settled is not None:
            return self._settled
        reference, term = self._sums
        return reference / term if term > 0 else 0.0

    def forward(self, reference: Tensor, term: Tensor) -> float:
        """Return the weight for this batch; in training, until it is settled, measured with this batch.

        Every worker must call it. The workers' values are averaged, so all have the same w.

        Args:
            reference, term: scalars, of the worker's share or of the gathered batch.

        Raises:
            TrainingError: the term was 0 in all batches it was measured in.
        """
        if self._settled is not None:
            return self._settled  # a constant of a compiled graph
        pair = torch.stack([reference.detach().double(), term.detach().double()])
        value: float = self._so_far(pair)
        return value

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # the host reads the values
    def _so_far(self, pair: Tensor) -> float:
        if self.training:
            self._measure(pair)
        return self.value

    def _measure(self, pair: Tensor) -> None:
        values = gather(pair[None]).mean(dim=0).tolist()
        if all(value < torch.inf for value in values):  # a loss that is not finite stops the step
            self._sums = [old + new for old, new in zip(self._sums, values, strict=True)]
            self._batches_measured += 1
        if self._batches_measured == self.batches:
            self.settle()

    def settle(self) -> None:
        """Fix the weight measured so far for all later steps.

        Raises:
            TrainingError: there is nothing to divide by.
        """
        if self._settled is None:
            if not self.value > 0:
                raise TrainingError(
                    f"objective.triplet.weight: balance found no active triplet in {self._batches_measured} "
                    "batches, so there is no ratio.",
                    "Raise objective.triplet.margin, or set objective.triplet.weight to a number.",
                )
            self._settled = self.value

    def get_extra_state(self) -> dict[str, Any]:
        return {"sums": self._sums, "seen": self._batches_measured, "settled": self._settled}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self._sums, self._batches_measured = list(state["sums"]), state["seen"]
        self._settled = state["settled"]
