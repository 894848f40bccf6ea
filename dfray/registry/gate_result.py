"""One gate's outcome, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ROUNDING = 1e-9
"""A coverage of 0.9 may stand for 0.92 less 0.02, which floats put a hair above it."""

Rule = Literal[">=", "<=", ">"]
Outcome = Literal["holds", "fails", "does not apply"]


@dataclass(frozen=True)
class GateResult:
    """One gate: what it requires, both models' values, and the outcome in words.

    Attributes:
        name: as in the recipe's `registry.gates`.
        rule, required: what must hold, such as ">=" and 0.9; of a comparison it must hold for `low`.
        scope: the videos of a comparison; None: all.
        low, high: interval of candidate - champion, of a comparison.
    """

    name: str
    rule: Rule
    required: float
    outcome: Outcome
    sentence: str
    candidate: float | None = None
    champion: float | None = None
    scope: str | None = None
    low: float | None = None
    high: float | None = None

    @property
    def passed(self) -> bool:
        return self.outcome != "fails"


def at_least(
    name: str, what: str, value: float | None, required: float, mend: str = ""
) -> GateResult:
    passed = value is not None and value >= required - ROUNDING
    verb = "reaches" if passed else "is below"
    sentence = f"{what} {_show(value)} {verb} the {_show(required)} required"
    if value is None:
        sentence = f"{what} could not be measured, and {_show(required)} is required: {mend}"
    return GateResult(name, ">=", required, "holds" if passed else "fails", sentence, value)


def at_most(name: str, what: str, value: float | None, allowed: float, mend: str) -> GateResult:
    passed = value is not None and value <= allowed + ROUNDING
    verb = "is within" if passed else "is above"
    sentence = f"{what} {_show(value)} {verb} the {_show(allowed)} allowed"
    if value is None:
        sentence = f"{what} could not be measured, and {_show(allowed)} is allowed: {mend}"
    return GateResult(name, "<=", allowed, "holds" if passed else "fails", sentence, value)


def _show(value: float | None) -> str:
    if value is None:
        return "unknown"
    return str(value) if isinstance(value, int) else f"{value:.4f}"
