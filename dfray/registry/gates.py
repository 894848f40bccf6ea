"""What a candidate must reach before it becomes the champion; pure, one sentence for every gate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from dfray.config import GatesSection

_ROUNDING = 1e-9
"""An AUC of 0.9 may stand for 0.92 less 0.02, which floats put a hair above it."""


@dataclass(frozen=True)
class Figures:
    """How a model does on one evaluation set.

    Attributes:
        auc: video-level; None if the set holds one class only.
        balanced_accuracy: video-level, at the model's own threshold; None likewise.
        coverage: videos with a score over videos in the split, 0..1.
        n_videos: videos with a score.
        evaluation_set: fingerprint of what it was scored on; only figures of one set compare.
    """

    auc: float | None
    balanced_accuracy: float | None
    coverage: float
    n_videos: int
    evaluation_set: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        return cls(**values)


@dataclass(frozen=True)
class GateResult:
    """One gate: what it requires, both models' values, and the outcome in words."""

    name: str
    required: float
    candidate: float | None
    champion: float | None
    passed: bool
    sentence: str


def check_gates(
    gates: GatesSection, candidate: Figures, champion: Figures | None
) -> list[GateResult]:
    """Check `candidate` against the absolute gates and, if there is one, against the champion.

    Raises:
        ValueError: the two were scored on different evaluation sets.
    """
    results = [
        _at_least("min_auc", "AUC", candidate.auc, gates.min_auc),
        _at_least(
            "min_balanced_accuracy",
            "balanced accuracy",
            candidate.balanced_accuracy,
            gates.min_balanced_accuracy,
        ),
        _at_least("min_coverage", "coverage", candidate.coverage, gates.min_coverage),
        _at_least("min_videos", "scored videos", candidate.n_videos, gates.min_videos),
    ]
    if champion is None:
        return results
    if champion.evaluation_set != candidate.evaluation_set:
        raise ValueError(
            f"figures of evaluation sets {candidate.evaluation_set} and "
            f"{champion.evaluation_set} do not compare"
        )
    return [
        *results,
        _not_worse("max_auc_drop", "AUC", candidate.auc, champion.auc, gates.max_auc_drop),
        _not_worse(
            "max_coverage_drop",
            "coverage",
            candidate.coverage,
            champion.coverage,
            gates.max_coverage_drop,
        ),
    ]


def _at_least(name: str, what: str, value: float | None, required: float) -> GateResult:
    passed = value is not None and value >= required - _ROUNDING
    verb = "reaches" if passed else "is below"
    sentence = f"{what} {_show(value)} {verb} the {_show(required)} required"
    if value is None:
        sentence = f"{what} is unknown (one class only?); {_show(required)} is required"
    return GateResult(name, required, value, None, passed, sentence)


def _not_worse(
    name: str, what: str, value: float | None, champion: float | None, allowed: float
) -> GateResult:
    """The champion's own figure may be unknown; then there is nothing to fall behind."""
    floor = None if champion is None else champion - allowed
    passed = floor is None or (value is not None and value >= floor - _ROUNDING)
    verb = "holds" if passed else "does not hold"
    sentence = (
        f"{what} {_show(value)} {verb} against the champion's {_show(champion)} "
        f"(it may lose {_show(allowed)})"
    )
    return GateResult(name, allowed, value, champion, passed, sentence)


def _show(value: float | None) -> str:
    if value is None:
        return "unknown"
    return str(value) if isinstance(value, int) else f"{value:.4f}"
