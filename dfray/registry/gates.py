"""What a candidate must reach before it becomes the champion; pure, one sentence for every gate.

A gate that could not be measured fails and says what to do. One that has nothing to be set against, such
as the champion's AUC where there is no champion, does not apply and says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dfray.config import GatesSection
from dfray.registry.against import compare_coverage, compare_over_scopes, compare_speed
from dfray.registry.figures import Figures, Measured
from dfray.registry.gate_result import GateResult, Rule, at_least, at_most

if TYPE_CHECKING:
    from dfray.evaluation.protocol import Protocol


def check_gates(
    gates: GatesSection,
    candidate: Measured,
    champion: Measured | None,
    *,
    why_alone: str = "there is no champion",
    slowdown: float | None = None,
    protocols: Sequence[Protocol] = (),
) -> list[GateResult]:
    """Check `candidate` against the absolute gates and, if there is one, against the champion.

    Args:
        why_alone: why there is no champion to compare with.
        slowdown: CPU seconds a face over the champion's; None: not measured.
        protocols: those that the gates name.

    Raises:
        ValueError: the two were scored on different evaluation sets.
    """
    results = list(_alone(gates, candidate.figures, champion.figures if champion else None))
    if champion is None:
        return [*results, *_without_champion(gates, why_alone)]
    sets = candidate.figures.evaluation_set, champion.figures.evaluation_set
    if sets[0] != sets[1]:
        raise ValueError(f"figures of evaluation sets {sets[0]} and {sets[1]} do not compare")
    return [
        *results,
        *compare_over_scopes(gates, candidate, champion, protocols),
        compare_coverage(gates, candidate.figures, champion.figures),
        *compare_speed(gates, slowdown),
    ]


def _alone(gates: GatesSection, figures: Figures, champion: Figures | None) -> Iterator[GateResult]:
    """What the candidate must reach by itself."""
    one_class = "the split needs scored videos of both classes"
    for name, what, mend in (
        ("auc", "AUC", one_class),
        ("balanced_accuracy", "balanced accuracy", one_class),
        ("coverage", "coverage", ""),
        ("n_videos", "scored videos", ""),
    ):
        gate = f"min_{name.removeprefix('n_')}"
        theirs = getattr(champion, name) if champion else None
        required = getattr(gates, gate)
        yield at_least(gate, what, getattr(figures, name), required, mend, champion=theirs)
    kind = f" ({figures.worst_kind})" if figures.worst_kind else ""
    for name, figure, what, mend in (
        (
            "max_calibration_error",
            "calibration_error",
            "calibration error",
            "evaluate it with this dfray and register it again",
        ),
        (
            "max_post_processing_drop",
            "worst_drop",
            f"worst drop of AUC under post-processing{kind}",
            "name kinds in evaluation.post_processing and evaluate again",
        ),
    ):
        allowed = getattr(gates, name)
        theirs = getattr(champion, figure) if champion else None
        if allowed is not None:
            yield at_most(name, what, getattr(figures, figure), allowed, mend, champion=theirs)


def _without_champion(gates: GatesSection, why: str) -> Iterator[GateResult]:
    """The gates against a champion, where there is none."""
    rules: list[tuple[str, Rule, float | None]] = [
        ("auc_margin", ">", -gates.auc_margin),
        ("balanced_accuracy_margin", ">", -gates.balanced_accuracy_margin),
        ("max_coverage_drop", "<=", gates.max_coverage_drop),
        ("max_slowdown", "<=", gates.max_slowdown),
    ]
    for name, rule, required in rules:
        if required is not None:
            sentence = f"{name} does not apply: {why}"
            yield GateResult(name, rule, required, "does not apply", sentence)
