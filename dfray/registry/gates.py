"""Gates of the promotion: the table of all gates, checked in its order; nothing here reads or writes.

To add a gate, add an entry to `GATES` and its key to `GatesSection`; a test holds that both agree. A gate
that could not be measured fails with a hint. One that compares with a champion does not apply without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from dfray.evaluation.names import mean_name
from dfray.registry.gate import ROUNDING, Contest, Gate, GateResult, Outcome, Rule
from dfray.registry.margin_gate import MarginGate

if TYPE_CHECKING:
    from dfray.config import GatesSection
    from dfray.evaluation.protocol import Protocol
    from dfray.registry.measurements import HeadlineMetrics, Measurement


@dataclass(frozen=True)
class LowerLimitGate(Gate):
    """A metric of the candidate alone that must reach the limit.

    Attributes:
        metric: attribute of `HeadlineMetrics`; the champion's value is shown with the candidate's.
    """

    metric: str
    rule: ClassVar[Rule] = ">="
    against_champion: ClassVar[bool] = False

    def _results(self, contest: Contest) -> Iterator[GateResult]:
        value, champion = _values(self.metric, contest)
        yield _limit(self, self.required(contest.section), value, champion)


@dataclass(frozen=True)
class MeanGate(LowerLimitGate):
    """A metric of the candidate alone whose mean over the columns must reach the limit.

    Attributes:
        metric: a name in `ranking_metrics.METRICS`.
    """

    def _results(self, contest: Contest) -> Iterator[GateResult]:
        judged, champion = contest.judged, contest.champion_judged
        count = len(judged.columns.defined)
        undefined = judged.columns.undefined
        title = f"{self.title}, {mean_name(count)}" if count > 1 else self.title
        if count and undefined:
            title = f"{title} (none of {', '.join(undefined)}: one class)"
        value = judged.mean.get(self.metric)
        before = champion.mean.get(self.metric) if champion else None
        yield _limit(self, self.required(contest.section), value, before, title)


@dataclass(frozen=True)
class ColumnFloorGate(LowerLimitGate):
    """A metric of the candidate alone that must reach the limit in every column with enough videos.

    Attributes:
        metric: a name in `ranking_metrics.METRICS`.
    """

    def _results(self, contest: Contest) -> Iterator[GateResult]:
        judged, limit = contest.judged, self.required(contest.section)
        for scope, figures, fewest in zip(
            judged.columns.defined, judged.figures, judged.fewest, strict=True
        ):
            title, needed = f"{self.title} of {scope.name}", contest.section.min_per_class
            if fewest < needed:
                sentence = (
                    f"{title} has no floor: a class has {fewest} of the {needed} videos needed"
                )
                yield GateResult(
                    self.name, self.rule, limit, "does not apply", sentence, scope=scope.name
                )
            else:
                result = _limit(self, limit, figures[self.metric], None, title)
                yield replace(result, scope=scope.name)


@dataclass(frozen=True)
class UpperLimitGate(LowerLimitGate):
    """A metric of the candidate alone that must not exceed the limit.

    The metric may be missing from stored measurements: it is measured when the gate asks for it.

    Attributes:
        detail: attribute of `HeadlineMetrics` shown behind the title; empty: none.
    """

    detail: str = ""
    rule: ClassVar[Rule] = "<="

    def lacks_value(self, section: GatesSection, metrics: HeadlineMetrics) -> bool:
        return getattr(section, self.name) is not None and getattr(metrics, self.metric) is None

    def _results(self, contest: Contest) -> Iterator[GateResult]:
        value, champion = _values(self.metric, contest)
        detail = getattr(contest.candidate.metrics, self.detail) if self.detail else None
        title = f"{self.title} ({detail})" if detail else self.title
        yield _limit(self, self.required(contest.section), value, champion, title)


@dataclass(frozen=True)
class CoverageDropGate(Gate):
    """Coverage that the candidate may lose against the champion."""

    def _results(self, contest: Contest) -> Iterator[GateResult]:
        assert contest.champion is not None
        candidate, champion = contest.candidate.metrics.coverage, contest.champion.metrics.coverage
        allowed = self.required(contest.section)
        passed = candidate >= champion - allowed - ROUNDING
        verb = "holds" if passed else "does not hold"
        sentence = (
            f"{self.title} {candidate:.4f} {verb} against the champion's {champion:.4f} "
            f"(it may lose {allowed:.4f})"
        )
        outcome: Outcome = "holds" if passed else "fails"
        yield GateResult(self.name, self.rule, allowed, outcome, sentence, candidate, champion)


@dataclass(frozen=True)
class SlowdownGate(Gate):
    """CPU time of the candidate over the champion's; both are timed when this gate is checked."""

    def _results(self, contest: Contest) -> Iterator[GateResult]:
        ratio = contest.slowdown() if contest.slowdown else None
        yield _limit(self, self.required(contest.section), ratio, champion=1.0)


_ONE_CLASS = "the split needs a dataset with scored videos of both classes"

GATES: tuple[Gate, ...] = (
    MeanGate("min_auc", "AUC", "auc", hint=_ONE_CLASS),
    MeanGate("min_balanced_accuracy", "balanced accuracy", "balanced_accuracy", hint=_ONE_CLASS),
    ColumnFloorGate("min_column_auc", "AUC", "auc"),
    LowerLimitGate("min_coverage", "coverage", "coverage"),
    LowerLimitGate("min_videos", "scored videos", "n_videos"),
    UpperLimitGate(
        "max_calibration_error",
        "calibration error",
        "calibration_error",
        hint="evaluate it with this dfray and register it again",
    ),
    UpperLimitGate(
        "max_group_error_rate",
        "error rate of the worst group",
        "worst_group_error",
        detail="worst_group",
        hint="no group has enough real and fake videos: name columns of the CSV in corpora.N.attributes",
    ),
    UpperLimitGate(
        "max_post_processing_drop",
        "worst drop of AUC under post-processing",
        "worst_drop",
        detail="worst_kind",
        hint="name kinds in evaluation.post_processing and evaluate again",
    ),
    MarginGate("auc_margin", "AUC", "auc"),
    MarginGate(
        "balanced_accuracy_margin", "balanced accuracy", "balanced_accuracy", label="bal_acc_margin"
    ),
    CoverageDropGate("max_coverage_drop", "coverage"),
    SlowdownGate(
        "max_slowdown", "CPU time a face over the champion's", hint="both models must load here"
    ),
)


def check_gates(
    section: GatesSection,
    candidate: Measurement,
    champion: Measurement | None,
    *,
    no_champion_reason: str = "there is no champion",
    slowdown: Callable[[], float] | None = None,
    protocol: Protocol | None = None,
    compared: Sequence[Protocol] = (),
) -> list[GateResult]:
    """Check `candidate` against every gate of `GATES` and return the results in that order.

    Args:
        no_champion_reason: shown with the gates that do not apply without a champion.
        slowdown: returns CPU seconds per face over the champion's; called only if a gate needs it.
        protocol: the evaluation's, which gives the columns that decide; None: a column for each dataset.
        compared: protocols whose columns are compared as well.

    Raises:
        ValueError: the two were scored on different evaluation sets.
    """
    if champion is not None:
        first, second = candidate.metrics.evaluation_set, champion.metrics.evaluation_set
        if first != second:
            raise ValueError(f"metrics of evaluation sets {first} and {second} do not compare")
    contest = Contest(
        section, candidate, champion, no_champion_reason, slowdown, protocol, compared
    )
    return [result for gate in GATES for result in gate.check(contest)]


def lacks_a_value(section: GatesSection, metrics: HeadlineMetrics) -> bool:
    """Return True if a gate needs a quantity that stored `metrics` do not have."""
    return any(gate.lacks_value(section, metrics) for gate in GATES)


def gate_label(name: str) -> str:
    """Return the short name of a gate for tables; a gate of another dfray keeps its name."""
    return next((gate.label for gate in GATES if gate.name == name and gate.label), name)


def _values(metric: str, contest: Contest) -> tuple[float | None, float | None]:
    """Return the metric of the candidate and of the champion."""
    champion = contest.champion
    return (
        getattr(contest.candidate.metrics, metric),
        getattr(champion.metrics, metric) if champion else None,
    )


def _limit(
    gate: Gate,
    limit: float,
    value: float | None,
    champion: float | None,
    title: str = "",
) -> GateResult:
    """Return the result of a value against a lower (>=) or upper (<=) limit."""
    title, lower = title or gate.title, gate.rule == ">="
    passed = value is not None and (
        value >= limit - ROUNDING if lower else value <= limit + ROUNDING
    )
    verb = {
        (True, True): "reaches",
        (True, False): "is below",
        (False, True): "is within",
        (False, False): "is above",
    }[lower, passed]
    word = "required" if lower else "allowed"
    sentence = f"{title} {_text(value)} {verb} the {_text(limit)} {word}"
    if value is None:
        sentence = f"{title} could not be measured, and {_text(limit)} is {word}: {gate.hint}"
    outcome: Outcome = "holds" if passed else "fails"
    return GateResult(gate.name, gate.rule, limit, outcome, sentence, value, champion)


def _text(value: float | None) -> str:
    if value is None:
        return "unknown"
    return str(value) if isinstance(value, int) else f"{value:.4f}"
