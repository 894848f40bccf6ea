"""History of the champion: every promotion, refusal and rollback with its author, reasons and metrics.

A record is a version of a separate registered model, `NAME.decisions`: the version's number is the record's
sequence number, a tag holds the record as JSON, the description is its text for people. So the history lies
in the registry itself, works through any MLflow server, and survives moved aliases, deleted versions and even
the deletion of the registered model that it is about.

Concurrent promotions. MLflow's aliases and tags have no compare-and-set: the last writer wins. But the
number of a version is part of the primary key of MLflow's database, is assigned once, and the record is
written whole in the call that assigns it. Every record holds the last number that its author had read
(`after`). It counts only if its own number is the next one; otherwise another record came between, it is
void, and its author gets an error. So of any number of concurrent promotions exactly one counts, nothing is
overwritten, and the void ones are in the history too. (Names of registered models are unique as well, but a
name for each record would flood MLflow's list of models.)

The aliases follow the records: see `champion`. A rollback that is requested again would go back one champion
more; so its record stays open, by a tag, until the aliases have followed, and the next rollback ends one that
was cut off instead of adding another. Limits: whoever may delete from the registry can delete a record; its
number stays missing and the others keep their meaning. After the last record was deleted the next one is
void, as if the deleted one had come in between; requested again, it counts.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self

from dfray.documents import parse_json, validated
from dfray.errors import RegistryError
from dfray.registry.gate import GateResult
from dfray.registry.measurements import HeadlineMetrics
from dfray.tracking.client import error_code, talking

if TYPE_CHECKING:
    from mlflow import MlflowClient

SUFFIX = ".decisions"
RECORD = "dfray.decision"
_ATTEMPT = "dfray.attempt"  # of appending; the same if MLflow's client repeats the request
OPEN = "dfray.open"  # of a rollback whose aliases its author has not yet moved
_DESCRIPTION_LIMIT = 5000  # characters, of MLflow's database
_NO_FILES = "dfray:/decisions"  # MLflow requires a source for every version, and checks its form


@dataclass(frozen=True)
class VersionId:
    """Unique identity of a version: a registered model that was deleted and made again numbers from 1."""

    number: str
    created_ms: int


@dataclass(frozen=True)
class PromotionRecord:
    """One requested promotion or rollback, and its outcome.

    Attributes:
        action: the request.
        promoted: True if `version` was to become the champion; it did unless the record is void.
        version: the version that was to become the champion.
        champion_before: the champion at that time; None if there was none.
        reasons: one sentence each: all gates, or those that failed.
        candidate, champion: the metrics compared; None where none were needed.
        who, when: the user's name; UTC, ISO 8601.
        commit: of dfray's code; None where it was no checkout.
        sequence: number in the history, from 1; None for a dry run, which is not recorded.
        after: the last number in the history that its author had read.
        undoes: of a rollback, the sequence of the promotion that it undoes.
        notes: what to know of the comparison, beside the gates.
        is_open: of a rollback, True until its author has moved the aliases; not part of the stored record.
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
    notes: tuple[str, ...] = ()
    is_open: bool = False

    @property
    def void(self) -> bool:
        """True if another record came between the last one its author had read and this one."""
        return self.sequence is not None and self.sequence != self.after + 1

    @property
    def moved(self) -> bool:
        """True if it made its version the champion."""
        return self.promoted and not self.void

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return {name: value for name, value in asdict(self).items() if name != "is_open"}

    @classmethod
    def from_json(cls, text: str, source: str) -> Self:
        """Return the record in a tag.

        Raises:
            RegistryError: it was edited to hold none.
        """
        hint = "dfray writes this tag: change it back, or delete this version of the decisions."
        values = parse_json(text, source, RegistryError, hint, with_nan=True)
        return validated(cls, values, source, RegistryError, hint)


def record_in(text: str, name: str, number: str, *, is_open: bool) -> PromotionRecord:
    """Return the record about the model `name` in the tag of a version of its history.

    Raises:
        RegistryError: the tag was edited to hold none.
    """
    source = f"Tag {RECORD} of {name}{SUFFIX} version {number}"
    return replace(PromotionRecord.from_json(text, source), sequence=int(number), is_open=is_open)


class History:
    """Records about the registered model `name`; read from MLflow at every call."""

    def __init__(self, client: MlflowClient, name: str) -> None:
        self.client, self.name = client, name

    def read(self) -> list[PromotionRecord]:
        """Return all records, void ones too, the oldest first."""
        with talking(f"read the decisions about {self.name}"):
            stored = self.client.search_model_versions(f"name = '{self.name}{SUFFIX}'")
        records = [
            record_in(
                version.tags[RECORD],
                self.name,
                str(version.version),
                is_open=OPEN in version.tags,
            )
            for version in stored
            if RECORD in version.tags
        ]
        return sorted(records, key=lambda record: record.sequence or 0)

    def append(self, record: PromotionRecord, after: int) -> PromotionRecord:
        """Append `record`, made after reading the history up to `after`; return it with its number.

        Raises:
            RegistryError: another record was written first; this one is void.
        """
        record, attempt = replace(record, after=after), uuid.uuid4().hex
        with talking(f"record the decision about {self.name}"):
            self._ensure()
            version = self.client.create_model_version(
                self.name + SUFFIX,
                source=_NO_FILES,
                tags={
                    RECORD: json.dumps(record.to_dict()),
                    _ATTEMPT: attempt,
                    **({OPEN: "true"} if record.is_open else {}),
                },
                description=_description(record)[:_DESCRIPTION_LIMIT],
            )
        written = replace(record, sequence=int(version.version))
        if written.void and self._attempt_of(after + 1) == attempt:
            # The first response was lost, and MLflow's client repeated the request.
            return replace(record, sequence=after + 1)
        if written.void:
            raise RegistryError(
                f"Someone else decided about {self.name} at the same time: decision {after + 1} came "
                f"before this one, which is void (decision {written.sequence}). Nothing was moved.",
                "Look at `dfray registry history` and try again.",
            )
        return written

    def close(self, record: PromotionRecord) -> PromotionRecord:
        """Return the record closed, now that the aliases have followed it."""
        if record.is_open:
            with talking(f"close decision {record.sequence} about {self.name}"):
                self.client.delete_model_version_tag(self.name + SUFFIX, str(record.sequence), OPEN)
        return replace(record, is_open=False)

    def _attempt_of(self, sequence: int) -> str | None:
        """Return the attempt that wrote the record; None: it was deleted by hand."""
        with talking(f"read decision {sequence} about {self.name}"):
            stored = self.client.search_model_versions(f"name = '{self.name}{SUFFIX}'")
        tags = [version.tags for version in stored if int(version.version) == sequence]
        return tags[0].get(_ATTEMPT) if tags else None

    def _ensure(self) -> None:
        """Create the registered model of the history unless it exists."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(
                self.name + SUFFIX,
                description=f"The decisions about {self.name}, one a version; written by dfray.",
            )
        except MlflowException as error:
            if error_code(error) != "RESOURCE_ALREADY_EXISTS":
                raise


def _description(record: PromotionRecord) -> str:
    """Return the record as Markdown for MLflow's page."""
    outcome = "champion" if record.promoted else "refused"
    before = f"version {record.champion_before.number}" if record.champion_before else "none"
    lines = [
        f"**{record.action}** version {record.version.number}: **{outcome}** "
        f"(counts if it is decision {record.after + 1})",
        f"champion before: {before}; by {record.who}, {record.when}; "
        f"code {record.commit or 'not of a checkout'}",
        *(f"- {reason}" for reason in record.reasons),
    ]
    return "\n\n".join(lines[:2]) + "\n\n" + "\n".join(lines[2:])
