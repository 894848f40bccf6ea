"""Gate on the difference of one metric between candidate and champion, over every scope of videos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dfray.registry.gate import Contest, Gate, GateResult, Outcome, Rule, ScopeComparison

if TYPE_CHECKING:
    from dfray.config import GatesSection
    from dfray.evaluation.paired import Difference
    from dfray.evaluation.protocol import Protocol


@dataclass(frozen=True)
class MarginGate(Gate):
    """Lower bound of candidate - champion above minus the margin, on videos that both models scored.

    A scope that the recipe names and that cannot be measured fails; one found in the data does not apply.

    Attributes:
        metric: a name in `paired.COMPARED`.
    """

    metric: str
    rule: ClassVar[Rule] = ">"

    def required(self, section: GatesSection) -> float:
        return -super().required(section)

    def _results(self, contest: Contest) -> Iterator[GateResult]:
        for comparison in contest.comparisons:
            yield self._over(contest.section, comparison)
        for protocol in contest.protocols:
            yield from self._absent(contest, protocol)

    def _over(self, section: GatesSection, comparison: ScopeComparison) -> GateResult:
        """Return the result over one scope."""
        scope = comparison.scope
        if comparison.differences:
            return self._compared(section, scope.name, comparison.differences[self.metric])
        hint = "; evaluate on more videos" if scope.required else ""
        outcome: Outcome = "fails" if scope.required else "does not apply"
        return self._not_compared(section, scope.name, outcome, f"{comparison.reason}{hint}")

    def _compared(self, section: GatesSection, scope: str, difference: Difference) -> GateResult:
        required = self.required(section)
        passed = difference.low > required
        verb = "is above" if passed else "is not above"
        sentence = (
            f"{self.title} over {scope} {difference.candidate:.4f}, the champion's "
            f"{difference.champion:.4f}: the difference's lower bound {difference.low:+.4f} {verb} "
            f"{required:+.4f} ({section.confidence:.0%} interval up to {difference.high:+.4f}; "
            f"{difference.n_real} real and {difference.n_fake} fake videos of "
            f"{difference.n_persons} people or sources)"
        )
        return GateResult(
            self.name,
            self.rule,
            required,
            "holds" if passed else "fails",
            sentence,
            difference.candidate,
            difference.champion,
            scope,
            difference.low,
            difference.high,
        )

    def _absent(self, contest: Contest, protocol: Protocol) -> Iterator[GateResult]:
        """Yield one result for the protocol's columns without a video; it fails if these are all."""
        from dfray.evaluation.scopes import absent_columns

        absent = absent_columns(contest.pair.videos, protocol)
        count = sum(len(scenario.columns) for scenario in protocol.scenarios)
        if absent and len(absent) == count:
            why = "the split has no scored video of its datasets; add a corpus, or do not name it"
            yield self._not_compared(contest.section, protocol.name, "fails", why)
        elif absent:
            scope = f"{len(absent)} of {count} columns of {protocol.name}"
            why = f"no scored video of {', '.join(absent)}"
            yield self._not_compared(contest.section, scope, "does not apply", why)

    def _not_compared(
        self, section: GatesSection, scope: str, outcome: Outcome, why: str
    ) -> GateResult:
        sentence = f"{self.title} over {scope} was not compared: {why.rstrip('.')}"
        required = self.required(section)
        return GateResult(self.name, self.rule, required, outcome, sentence, scope=scope)
