"""A candidate against the champion: both metrics over every scope, coverage, and speed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dfray.config import GatesSection
from dfray.errors import EvaluationError
from dfray.registry.figures import Figures, Measured
from dfray.registry.gate_result import ROUNDING, GateResult, Outcome, at_most

if TYPE_CHECKING:
    from dfray.evaluation.paired import Difference, Pair
    from dfray.evaluation.protocol import Protocol
    from dfray.evaluation.scopes import Scope

_SEED = 0  # the same figures give the same decision
_TITLES = {"auc": "AUC", "balanced_accuracy": "balanced accuracy"}


def compare_over_scopes(
    gates: GatesSection, candidate: Measured, champion: Measured, protocols: Sequence[Protocol]
) -> Iterator[GateResult]:
    """Both metrics over every scope, on the videos that both models scored."""
    from dfray.evaluation.paired import pair
    from dfray.evaluation.scopes import scopes_of

    both = pair(
        candidate.scores,
        champion.scores,
        candidate.figures.threshold,
        champion.figures.threshold,
    )
    for scope in scopes_of(both.videos, protocols):
        yield from _compared(gates, both, scope)
    for protocol in protocols:
        yield from _not_there(gates, both, protocol)


def _not_there(gates: GatesSection, both: Pair, protocol: Protocol) -> Iterator[GateResult]:
    """The protocol's columns without a video are told; if these are all, it was asked for in vain."""
    from dfray.evaluation.paired import COMPARED
    from dfray.evaluation.scopes import absent_columns

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
        mend = "; evaluate on more videos" if scope.asked else ""
        outcome: Outcome = "fails" if scope.asked else "does not apply"
        for metric in COMPARED:
            yield _margin(gates, metric, scope.name, outcome, f"{error}{mend}")
        return
    for metric, difference in found.items():
        yield _against(gates, metric, scope.name, difference)


def _measure(gates: GatesSection, both: Pair, scope: Scope) -> dict[str, Difference]:
    """The differences over one scope, of which each class has videos enough."""
    from dfray.evaluation.paired import compare

    fewest = scope.fewest(both.labels)
    if fewest < gates.min_per_class:
        raise EvaluationError(f"a class has {fewest} of the {gates.min_per_class} videos needed")
    return compare(both, scope, resamples=gates.resamples, confidence=gates.confidence, seed=_SEED)


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


def compare_coverage(gates: GatesSection, candidate: Figures, champion: Figures) -> GateResult:
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
