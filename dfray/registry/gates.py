"""What a candidate must reach before it becomes the champion; pure, one sentence for every gate.

A gate that could not be measured fails and says what to do. One that has nothing to be set against, such
as the champion's AUC where there is no champion, does not apply and says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dfray.config import GatesSection
from dfray.errors import EvaluationError
from dfray.registry.measurements import HeadlineMetrics, Measurement

if TYPE_CHECKING:
    from dfray.evaluation.paired import Difference, Pair, Scope
    from dfray.evaluation.protocol import Protocol

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dfray.evaluation.protocol import Protocol


def check_gates(
    gates: GatesSection,
    candidate: Measurement,
    champion: Measurement | None,
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
    results = list(_alone(gates, candidate.metrics, champion.metrics if champion else None))
    if champion is None:
        return [*results, *_without_champion(gates, why_alone)]
    sets = candidate.metrics.evaluation_set, champion.metrics.evaluation_set
    if sets[0] != sets[1]:
        raise ValueError(f"figures of evaluation sets {sets[0]} and {sets[1]} do not compare")
    return [
        *results,
        *compare_over_scopes(gates, candidate, champion, protocols),
        compare_coverage(gates, candidate.metrics, champion.metrics),
        *compare_speed(gates, slowdown),
    ]


def _alone(
    gates: GatesSection, figures: HeadlineMetrics, champion: HeadlineMetrics | None
) -> Iterator[GateResult]:
    """What the candidate must reach by itself."""
    one_class = "the split needs scored videos of both classes"
    for name, what, hint in (
        ("auc", "AUC", one_class),
        ("balanced_accuracy", "balanced accuracy", one_class),
        ("coverage", "coverage", ""),
        ("n_videos", "scored videos", ""),
    ):
        gate = f"min_{name.removeprefix('n_')}"
        theirs = getattr(champion, name) if champion else None
        required = getattr(gates, gate)
        yield at_least(gate, what, getattr(figures, name), required, hint, champion=theirs)
    kind = f" ({figures.worst_kind})" if figures.worst_kind else ""
    for name, figure, what, hint in (
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
            yield at_most(name, what, getattr(figures, figure), allowed, hint, champion=theirs)


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


_SEED = 0  # the same figures give the same decision
_TITLES = {"auc": "AUC", "balanced_accuracy": "balanced accuracy"}


def compare_over_scopes(
    gates: GatesSection,
    candidate: Measurement,
    champion: Measurement,
    protocols: Sequence[Protocol],
) -> Iterator[GateResult]:
    """Both metrics over every scope, on the videos that both models scored."""
    from dfray.evaluation.paired import comparison_scopes, pair_scores

    both = pair_scores(
        candidate.scores,
        champion.scores,
        candidate.metrics.threshold,
        champion.metrics.threshold,
    )
    for scope in comparison_scopes(both.videos, protocols):
        yield from _compared(gates, both, scope)
    for protocol in protocols:
        yield from _not_there(gates, both, protocol)


def _not_there(gates: GatesSection, both: Pair, protocol: Protocol) -> Iterator[GateResult]:
    """The protocol's columns without a video are told; if these are all, it was asked for in vain."""
    from dfray.evaluation.paired import COMPARED, absent_columns

    absent = absent_columns(both.videos, protocol)
    count = sum(len(scenario.columns) for scenario in protocol.scenarios)
    for metric in COMPARED if absent else ():
        if len(absent) == count:
            why = "the split has no scored video of its datasets; add a corpus, or do not name it"
            yield _margin(gates, metric, protocol.name, "fails", why)
        else:
            scope = f"{len(absent)} of {count} columns of {protocol.name}"
            why = f"no scored video of {', '.join(absent)}"
            yield _margin(gates, metric, scope, "does not apply", why)


def _compared(gates: GatesSection, both: Pair, scope: Scope) -> Iterator[GateResult]:
    """Both metrics over one scope; what cannot be measured fails if it was asked for."""
    from dfray.evaluation.paired import COMPARED

    try:
        found = _measure(gates, both, scope)
    except EvaluationError as error:
        hint = "; evaluate on more videos" if scope.asked else ""
        outcome: Outcome = "fails" if scope.asked else "does not apply"
        for metric in COMPARED:
            yield _margin(gates, metric, scope.name, outcome, f"{error}{hint}")
        return
    for metric, difference in found.items():
        yield _against(gates, metric, scope.name, difference)


def _measure(gates: GatesSection, both: Pair, scope: Scope) -> dict[str, Difference]:
    """The differences over one scope, of which each class has videos enough."""
    from dfray.evaluation.paired import paired_differences

    fewest = scope.fewest(both.labels)
    if fewest < gates.min_per_class:
        raise EvaluationError(f"a class has {fewest} of the {gates.min_per_class} videos needed")
    return paired_differences(
        both, scope, resamples=gates.resamples, confidence=gates.confidence, seed=_SEED
    )


def _against(gates: GatesSection, metric: str, scope: str, found: Difference) -> GateResult:
    margin = getattr(gates, f"{metric}_margin")
    passed = found.low > -margin
    verb = "is above" if passed else "is not above"
    sentence = (
        f"{_TITLES[metric]} over {scope} {found.candidate:.4f}, the champion's {found.champion:.4f}: "
        f"the difference's lower bound {found.low:+.4f} {verb} {-margin:+.4f} "
        f"({gates.confidence:.0%} interval up to {found.high:+.4f}; {found.n_real} real and "
        f"{found.n_fake} fake videos of {found.n_persons} people or sources)"
    )
    return GateResult(
        f"{metric}_margin",
        ">",
        -margin,
        "holds" if passed else "fails",
        sentence,
        found.candidate,
        found.champion,
        scope,
        found.low,
        found.high,
    )


def _margin(gates: GatesSection, metric: str, scope: str, outcome: Outcome, why: str) -> GateResult:
    """A comparison that was not made."""
    required = -getattr(gates, f"{metric}_margin")
    sentence = f"{_TITLES[metric]} over {scope} was not compared: {why.rstrip('.')}"
    return GateResult(f"{metric}_margin", ">", required, outcome, sentence, scope=scope)


def compare_coverage(
    gates: GatesSection, candidate: HeadlineMetrics, champion: HeadlineMetrics
) -> GateResult:
    allowed = gates.max_coverage_drop
    passed = candidate.coverage >= champion.coverage - allowed - ROUNDING
    verb = "holds" if passed else "does not hold"
    sentence = (
        f"coverage {candidate.coverage:.4f} {verb} against the champion's {champion.coverage:.4f} "
        f"(it may lose {allowed:.4f})"
    )
    return GateResult(
        "max_coverage_drop",
        "<=",
        allowed,
        "holds" if passed else "fails",
        sentence,
        candidate.coverage,
        champion.coverage,
    )


def compare_speed(gates: GatesSection, slowdown: float | None) -> Iterator[GateResult]:
    if gates.max_slowdown is None:
        return
    yield at_most(
        "max_slowdown",
        "CPU time a face over the champion's",
        slowdown,
        gates.max_slowdown,
        "both models must load here",
        champion=1.0,
    )


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
    name: str,
    what: str,
    value: float | None,
    required: float,
    hint: str = "",
    *,
    champion: float | None = None,
) -> GateResult:
    """A figure that must reach `required`; the champion's is there to be seen beside it."""
    passed = value is not None and value >= required - ROUNDING
    verb = "reaches" if passed else "is below"
    sentence = f"{what} {_show(value)} {verb} the {_show(required)} required"
    if value is None:
        sentence = f"{what} could not be measured, and {_show(required)} is required: {hint}"
    return GateResult(
        name, ">=", required, "holds" if passed else "fails", sentence, value, champion
    )


def at_most(
    name: str,
    what: str,
    value: float | None,
    allowed: float,
    hint: str,
    *,
    champion: float | None = None,
) -> GateResult:
    """A figure that must not be above `allowed`; likewise."""
    passed = value is not None and value <= allowed + ROUNDING
    verb = "is within" if passed else "is above"
    sentence = f"{what} {_show(value)} {verb} the {_show(allowed)} allowed"
    if value is None:
        sentence = f"{what} could not be measured, and {_show(allowed)} is allowed: {hint}"
    return GateResult(
        name, "<=", allowed, "holds" if passed else "fails", sentence, value, champion
    )


def _show(value: float | None) -> str:
    if value is None:
        return "unknown"
    return str(value) if isinstance(value, int) else f"{value:.4f}"
