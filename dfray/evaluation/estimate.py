"""A figure with its interval, as metrics.json holds it."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict

from dfray.evaluation.intervals import Interval


class Estimate(BaseModel):
    """A metric's value and its interval, by `dfray.evaluation.intervals`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, interval: Interval) -> Self:
        """Return the estimate of a value with its interval."""
        return cls(value=value, low=interval[0], high=interval[1])
