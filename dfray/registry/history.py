"""Every decision about the champion, written down for good: who, when, what, why, on which figures.

A decision is a version of a registered model of its own, `NAME.decisions`: its number is the decision's
sequence number, a tag holds the whole record as JSON, its description tells it in words. So the history lies
in the registry itself, works through any MLflow server, and survives every alias that moves, every version
that is deleted and even the registered model it is about.

Two at once. MLflow's aliases and tags have no compare-and-set: who writes last wins. But the number of a
version is part of the primary key of MLflow's database, given out once, and the record is written whole in
the call that gives it out. Every record names the last number that its author had seen (`after`). It counts
only if its own number is the next one; if another came between, it is void and its author is told. So of
any number that decide at once exactly one wins, nothing is overwritten, and who lost is in the history too.
(Registered models' names are unique as well, but a name for each decision would bury the models in MLflow's
list of them.)

The alias follows the record: see `champion`. Limits: who may delete from the registry can delete a record;
its number stays missing and the others keep their meaning. After the last one was deleted the next decision
is void, as if the deleted one had come in between; asked for again, it counts.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self

from dfray.errors import RegistryError
from dfray.registry.gates import GateResult
from dfray.registry.measurements import HeadlineMetrics
from dfray.tracking.client import error_code, talking

if TYPE_CHECKING:
    from mlflow import MlflowClient

SUFFIX = ".decisions"
_RECORD = "dfray.decision"
_ATTEMPT = "dfray.attempt"  # of writing it down; the same if the client asks again
_DESCRIPTION_LIMIT = 5000  # characters, of MLflow's database
_NO_FILES = "dfray:/decisions"  # MLflow wants a place for every version, and checks its form


@dataclass(frozen=True)
class VersionId:
    """A version for good: a registered model that was deleted and begun anew counts from 1 again."""

    number: str
    created_ms: int


@dataclass(frozen=True)
class PromotionRecord:
    """One promotion or rollback that was asked for, and what came of it.

    Attributes:
        action: what was asked for.
        promoted: whether `version` was to become the champion; it did unless the decision is void.
        version: the version that was to become the champion.
        champion_before: the champion at that time; None if there was none.
        reasons: why, one sentence each: all gates, or those that failed.
        candidate, champion: the figures compared; None where none were needed.
        who, when: the user's name; UTC, ISO 8601.
        commit: of dfray's code; None where it was no checkout.
        sequence: number in the history, from 1; None for a dry run, which is not written down.
        after: the last number in the history that its author had seen.
        undoes: of a rollback, the sequence of the promotion that it undoes.
    """

    action: Literal["promote", "rollback"]
    promoted: bool
    model_name: str
    version: VersionId
    champion_before: VersionId | None
    reasons: tuple[str, ...]
    who: str
    when: str
    commit: str | None = None
    gates: tuple[GateResult, ...] = ()
    candidate: HeadlineMetrics | None = None
    champion: HeadlineMetrics | None = None
    sequence: int | None = None
    after: int = 0
    undoes: int | None = None

    @property
    def void(self) -> bool:
        """Whether another decision came between what its author had seen and this one."""
        return self.sequence is not None and self.sequence != self.after + 1

    @property
    def moved(self) -> bool:
        """Whether it made its version the champion."""
        return self.promoted and not self.void

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        figures = {
            name: HeadlineMetrics.from_dict(values[name]) if values[name] else None
            for name in ("candidate", "champion")
        }
        versions = {
            name: VersionId(**values[name]) if values[name] else None
            for name in ("version", "champion_before")
        }
        gates = tuple(GateResult(**gate) for gate in values["gates"])
        lists = {"gates": gates, "reasons": tuple(values["reasons"])}
        return cls(**(values | figures | versions | lists))


class History:
    """The decisions about the registered model `name`; reads anew at every call."""

    def __init__(self, client: MlflowClient, name: str) -> None:
        self.client, self.name = client, name

    def read(self) -> list[PromotionRecord]:
        """All decisions, void ones too, the oldest first."""
        with talking(f"read the decisions about {self.name}"):
            found = self.client.search_model_versions(f"name = '{self.name}{SUFFIX}'")
        decisions = [
            replace(
                PromotionRecord.from_dict(json.loads(version.tags[_RECORD])),
                sequence=int(version.version),
            )
            for version in found
            if _RECORD in version.tags
        ]
        return sorted(decisions, key=lambda decision: decision.sequence or 0)

    def append(self, decision: PromotionRecord, after: int) -> PromotionRecord:
        """Append `decision`, made in the knowledge of the history up to `after`.

        Returns:
            The decision with its sequence number.

        Raises:
            RegistryError: another decision was written first; this one is void.
        """
        record, attempt = replace(decision, after=after), uuid.uuid4().hex
        with talking(f"write down the decision about {self.name}"):
            self._ensure()
            version = self.client.create_model_version(
                self.name + SUFFIX,
                source=_NO_FILES,
                tags={_RECORD: json.dumps(record.to_dict()), _ATTEMPT: attempt},
                description=_in_words(record)[:_DESCRIPTION_LIMIT],
            )
        written = replace(record, sequence=int(version.version))
        if written.void and self._attempt_of(after + 1) == attempt:
            # The first answer was lost on the way, and MLflow's client asked again.
            return replace(record, sequence=after + 1)
        if written.void:
            raise RegistryError(
                f"Someone else decided about {self.name} at the same time: decision {after + 1} came "
                f"before this one, which is void (decision {written.sequence}). Nothing was moved.",
                "Look at `dfray registry history` and try again.",
            )
        return written

    def _attempt_of(self, sequence: int) -> str | None:
        """Which attempt wrote the record; None: it was deleted by hand."""
        with talking(f"read decision {sequence} about {self.name}"):
            found = self.client.search_model_versions(f"name = '{self.name}{SUFFIX}'")
        tags = [version.tags for version in found if int(version.version) == sequence]
        return tags[0].get(_ATTEMPT) if tags else None

    def _ensure(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(
                self.name + SUFFIX,
                description=f"The decisions about {self.name}, one a version; written by dfray.",
            )
        except MlflowException as error:
            if error_code(error) != "RESOURCE_ALREADY_EXISTS":
                raise


def _in_words(decision: PromotionRecord) -> str:
    """For MLflow's page."""
    outcome = "champion" if decision.promoted else "refused"
    before = f"version {decision.champion_before.number}" if decision.champion_before else "none"
    lines = [
        f"**{decision.action}** version {decision.version.number}: **{outcome}** "
        f"(counts if it is decision {decision.after + 1})",
        f"champion before: {before}; by {decision.who}, {decision.when}; "
        f"code {decision.commit or 'not of a checkout'}",
        *(f"- {reason}" for reason in decision.reasons),
    ]
    return "\n\n".join(lines[:2]) + "\n\n" + "\n".join(lines[2:])
