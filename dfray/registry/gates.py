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
    results = list(_alone(gates, candidate.figures))
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


def _alone(gates: GatesSection, figures: Figures) -> Iterator[GateResult]:
    one_class = "the split needs scored videos of both classes"
    yield at_least("min_auc", "AUC", figures.auc, gates.min_auc, one_class)
    yield at_least(
        "min_balanced_accuracy",
        "balanced accuracy",
        figures.balanced_accuracy,
        gates.min_balanced_accuracy,
        one_class,
    )
    yield at_least("min_coverage", "coverage", figures.coverage, gates.min_coverage)
    yield at_least("min_videos", "scored videos", figures.n_videos, gates.min_videos)
    if gates.max_calibration_error is not None:
        yield at_most(
            "max_calibration_error",
            "calibration error",
            figures.calibration_error,
            gates.max_calibration_error,
            "evaluate it with this dfray and register it again",
        )
    if gates.max_post_processing_drop is not None:
        kind = f" ({figures.worst_kind})" if figures.worst_kind else ""
        yield at_most(
            "max_post_processing_drop",
            f"worst drop of AUC under post-processing{kind}",
            figures.worst_drop,
            gates.max_post_processing_drop,
            "name kinds in evaluation.post_processing and evaluate again",
        )


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
