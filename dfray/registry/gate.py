"""One gate of the promotion: its requirement, its rule, and the result with a sentence for people."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal

from dfray.errors import EvaluationError
from dfray.registry.measurements import HeadlineMetrics, Measurement

if TYPE_CHECKING:
    from dfray.config import GatesSection
    from dfray.evaluation.paired import Difference, Pair
    from dfray.evaluation.protocol import Protocol
    from dfray.evaluation.scopes import JudgedScores, Scope

_SEED = 0  # the same scores give the same decision
ROUNDING = 1e-9
"""Tolerance of comparisons: in floats 0.92 - 0.02 lies slightly above 0.9."""

Rule = Literal[">=", "<=", ">"]
Outcome = Literal["holds", "fails", "does not apply"]


@dataclass(frozen=True)
class GateResult:
    """Outcome of one gate, with its requirement and the values of both models.

    Attributes:
        name: as in the recipe's `registry.gates`.
        rule, required: the requirement, such as ">=" and 0.9; of a comparison it concerns `low`.
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


@dataclass(frozen=True)
class ScopeComparison:
    """Differences of all compared metrics over one scope.

    Attributes:
        differences: metric -> difference; empty if there are too few videos, and `reason` says so.
    """

    scope: Scope
    differences: Mapping[str, Difference] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Contest:
    """Everything that gates may look at: both measurements, and a way to time both models.

    Attributes:
        section: limits of the gates.
        champion: None if there is none to compare with; `no_champion_reason` says why.
        slowdown: returns CPU seconds per face of the candidate over the champion's; None: cannot be
            measured.
        protocol: the evaluation's, which gives the columns that decide; None: a column for each dataset.
        compared: protocols whose columns are compared as well.
    """

    section: GatesSection
    candidate: Measurement
    champion: Measurement | None = None
    no_champion_reason: str = "there is no champion"
    slowdown: Callable[[], float] | None = None
    protocol: Protocol | None = None
    compared: Sequence[Protocol] = ()

    @cached_property
    def judged(self) -> JudgedScores:
        """The candidate's figures in each column."""
        return _judged(self.candidate, self.protocol)

    @cached_property
    def champion_judged(self) -> JudgedScores | None:
        """The champion's figures in each column."""
        return _judged(self.champion, self.protocol) if self.champion else None

    @property
    def protocols(self) -> list[Protocol]:
        """All protocols whose columns are compared."""
        named = [self.protocol, *self.compared] if self.protocol else list(self.compared)
        return [p for at, p in enumerate(named) if p not in named[:at]]

    @cached_property
    def pair(self) -> Pair:
        """Scores of the videos that both models scored."""
        from dfray.evaluation.paired import pair_scores

        assert self.champion is not None
        return pair_scores(
            self.candidate.scores,
            self.champion.scores,
            self.candidate.metrics.threshold,
            self.champion.metrics.threshold,
        )

    @cached_property
    def comparisons(self) -> list[ScopeComparison]:
        """Comparison over every scope of the scored videos, computed once for all gates."""
        from dfray.evaluation.scopes import comparison_scopes

        scopes = comparison_scopes(
            self.pair.videos,
            self.protocol,
            self.protocols,
            min_per_class=self.section.min_per_class,
        )
        return [self._compare(scope) for scope in scopes]

    def _compare(self, scope: Scope) -> ScopeComparison:
        from dfray.evaluation.paired import paired_differences

        section, fewest = self.section, scope.fewest(self.pair.labels)
        if fewest < section.min_per_class:
            reason = f"a class has {fewest} of the {section.min_per_class} videos needed"
            return ScopeComparison(scope, reason=reason)
        try:
            differences = paired_differences(
                self.pair,
                scope,
                resamples=section.resamples,
                confidence=section.confidence,
                seed=_SEED,
            )
        except EvaluationError as error:
            return ScopeComparison(scope, reason=str(error))
        return ScopeComparison(scope, differences)


@dataclass(frozen=True)
class Gate(ABC):
    """A requirement that a candidate must fulfil to become the champion.

    Attributes:
        name: the key in `registry.gates` that holds the limit; a limit of None switches the gate off.
        title: the measured quantity, as sentences write it.
        hint: advice for the reader where the quantity could not be measured.
        label: short name for tables; empty: the name.
    """

    name: str
    title: str
    hint: str = field(default="", kw_only=True)
    label: str = field(default="", kw_only=True)
    rule: ClassVar[Rule] = "<="
    against_champion: ClassVar[bool] = True

    def check(self, contest: Contest) -> Iterator[GateResult]:
        """Yield the results of this gate; none if the recipe switches it off."""
        if getattr(contest.section, self.name) is None:
            return
        if self.against_champion and contest.champion is None:
            sentence = f"{self.name} does not apply: {contest.no_champion_reason}"
            required = self.required(contest.section)
            yield GateResult(self.name, self.rule, required, "does not apply", sentence)
            return
        yield from self._results(contest)

    def required(self, section: GatesSection) -> float:
        """Return the value that the rule compares with."""
        limit: float = getattr(section, self.name)
        return limit

    def lacks_value(self, section: GatesSection, metrics: HeadlineMetrics) -> bool:  # noqa: ARG002
        """Return True if the gate is on and `metrics` were stored without its quantity."""
        return False

    @abstractmethod
    def _results(self, contest: Contest) -> Iterator[GateResult]:
        """Yield the results of this gate where it applies."""


def _judged(measurement: Measurement, protocol: Protocol | None) -> JudgedScores:
    from dfray.evaluation.scopes import JudgedScores

    return JudgedScores.of(measurement.scores, measurement.metrics.threshold, protocol)
