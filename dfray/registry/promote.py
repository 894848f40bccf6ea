"""Promotion and rollback of the champion.

`promote` measures both models on one evaluation set, checks the recipe's gates, appends a record to the
history, and only then moves the aliases; `rollback` undoes the last promotion that counts. Both packages are
checked against their checksums first: a champion that is damaged or gone is an error, and is not replaced.

Either may be killed anywhere and requested again: the next one moves the aliases that disagree with the
records, and a promotion or rollback that was recorded is not recorded twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dfray.config import GatesSection, RegistrySection
from dfray.errors import RegistryError, UserError
from dfray.evaluation.protocol import load_protocol
from dfray.models.bundle_description import read_faces_version
from dfray.notes import note
from dfray.registry.champion import (
    ChampionState,
    current_champion,
    lost_champion_error,
    repaired_state,
    resolve,
    sync_aliases,
)
from dfray.registry.gate import GateResult
from dfray.registry.gates import check_gates, lacks_a_value
from dfray.registry.history import PromotionRecord, VersionId
from dfray.registry.measurement_store import (
    load_headline_metrics,
    load_measurement,
    save_measurement,
)
from dfray.registry.measurements import Measurement
from dfray.registry.versions import CANDIDATE, DamagedPackageError, Versions
from dfray.tracking import provenance

Measure = Callable[[str, Path], Measurement]
"""(version, local folder of its bundle) -> its measurement on the current evaluation set."""

Slowdown = Callable[[Path, Path], float]
"""(bundle of the candidate, of the champion) -> CPU seconds per face of the candidate over the champion's."""


@dataclass(frozen=True)
class _Contender:
    """Candidate or champion: a version and its downloaded bundle."""

    version: VersionId
    bundle: Path


def promote(
    section: RegistrySection,
    tracking_uri: str,
    version: str | None = None,
    *,
    protocol: str | None = None,
    measure: Measure,
    slowdown: Slowdown,
    dry_run: bool = False,
    over_lost_champion: bool = False,
    who: str | None = None,
) -> PromotionRecord:
    """Make `version` the champion if the gates hold, and return the record; a refusal has one too.

    Of a version that is the champion it is the record by which it became it, and nothing is decided.

    Args:
        version: a version number or an alias; by default the alias `candidate`.
        protocol: the evaluation's, which gives the columns that decide; None: a column for each dataset.
        measure: called only for a model that was not yet scored on the set. The result is stored.
        slowdown: called only if there is a champion and a gate needs it.
        dry_run: check the gates, but write and move nothing.
        over_lost_champion: the champion is gone or damaged, so there is nothing to compare with.
        who: the user's name in the record; by default that of the process.

    Raises:
        UserError: no such model, version or alias; it is the champion by its alias alone; or the champion
            is gone or damaged, or is not while `over_lost_champion` says so.
        RegistryError: MLflow failed, the candidate's package is damaged, two models were scored on
            different sets, or someone else decided at the same time.
    """
    versions = Versions(section.model_name, tracking_uri)
    state = repaired_state(versions)
    version_id = versions.identify(resolve(versions, version or CANDIDATE, state))
    if version_id == state.champion:
        if over_lost_champion:
            _require_sound(versions, version_id)  # it cannot replace itself
        return _earlier_decision(versions, version_id, state.decision)
    with ExitStack() as stack:
        champion = stack.enter_context(_champion(versions, state, over_lost_champion))
        folder = stack.enter_context(versions.downloaded(version_id.number))
        candidate = _Contender(version_id, _bundle(folder))
        measurements = _measurements(
            versions, section.gates, candidate, champion, measure, store=not dry_run
        )
        results = check_gates(
            section.gates,
            *measurements,
            no_champion_reason=_no_champion_reason(state),
            slowdown=partial(slowdown, candidate.bundle, champion.bundle) if champion else None,
            protocol=load_protocol(protocol) if protocol else None,
            compared=[load_protocol(name) for name in section.gates.protocols],
        )
        notes = _faces_notes(candidate, champion)
    record = _promotion_record(
        versions, version_id, state, results, *measurements, notes, who or provenance.who()
    )
    return record if dry_run else _carry_out(versions, record, state)


def rollback(
    section: RegistrySection, tracking_uri: str, *, who: str | None = None
) -> PromotionRecord:
    """Undo the last promotion, and return the record; the champion before it is the champion again.

    Called twice, it undoes the last two promotions; but a rollback that was cut off after its record is ended
    first, and its record returned. It works if the champion is gone or damaged, too.

    Raises:
        UserError: there is nothing to go back to, or the version to go back to is gone.
        RegistryError: its package is damaged, or someone else decided at the same time.
    """
    versions = Versions(section.model_name, tracking_uri)
    versions.model()
    state = repaired_state(versions)
    if state.decision and state.decision.is_open:
        return _earlier_decision(versions, state.decision.version, state.decision)
    promotion = state.promotion
    if promotion is None or promotion.champion_before is None:
        first = f"version {state.champion.number} is the first." if state.champion else None
        raise UserError(
            f"There is no champion of {versions.name} to go back to: "
            f"{first or 'none was promoted yet.'}",
            "See `dfray registry history`.",
        )
    target = promotion.champion_before
    if not versions.exists(target):
        raise UserError(
            f"The champion before, version {target.number} of {versions.name}, has been deleted.",
            "Promote another version instead.",
        )
    _require_sound(versions, target)
    record = PromotionRecord(
        action="rollback",
        promoted=True,
        model_name=versions.name,
        version=target,
        champion_before=state.champion,
        reasons=(f"undoes decision {promotion.sequence}, by {promotion.who}",),
        who=who or provenance.who(),
        when=provenance.now(),
        commit=provenance.commit(),
        candidate=load_headline_metrics(versions, target.number),
        champion=promotion.candidate,
        undoes=promotion.sequence,
        is_open=True,
    )
    return _carry_out(versions, record, state)


def _carry_out(
    versions: Versions, record: PromotionRecord, state: ChampionState
) -> PromotionRecord:
    """Append the record to the history, move the aliases, and return the numbered record."""
    record = versions.history.append(record, state.last_sequence)
    if record.promoted:
        sync_aliases(versions)
    return versions.history.close(record)


def _earlier_decision(
    versions: Versions, champion: VersionId, decision: PromotionRecord | None
) -> PromotionRecord:
    """Return the decision that made the champion what it is, closed; print that nothing else was decided.

    Raises:
        UserError: there is none: it is the champion by its alias alone.
    """
    told = f"Version {champion.number} of {versions.name} is the champion already"
    if decision is None:
        raise UserError(
            f"{told}, by an alias set by hand.",
            "Name another version, or register a new candidate.",
        )
    note(
        f"{told}: {decision.action} by {decision.who}, decision {decision.sequence}. "
        "Nothing was decided anew."
    )
    return versions.history.close(decision)


def _require_sound(versions: Versions, version: VersionId) -> None:
    """Check the package of a version before it becomes the champion.

    Raises:
        DamagedPackageError: it is damaged or gone.
    """
    with versions.downloaded(version.number):
        pass


@contextmanager
def _champion(
    versions: Versions, state: ChampionState, over_lost: bool
) -> Iterator[_Contender | None]:
    """Yield the champion with its package; None without one, or if it is lost and `over_lost` is set."""
    with ExitStack() as stack:
        try:
            version = current_champion(versions, state)
            if version is not None:
                try:
                    folder = stack.enter_context(versions.downloaded(version.number))
                except DamagedPackageError as error:
                    raise lost_champion_error(
                        versions, version, f"is damaged: {error.fault}"
                    ) from error
        except UserError:
            if not over_lost:
                raise
            version = None
        else:
            if over_lost:
                raise UserError(
                    f"No champion of {versions.name} is lost.",
                    "Promote without --over-lost-champion: the gates compare with the champion.",
                )
        yield _Contender(version, _bundle(folder)) if version else None


def _no_champion_reason(state: ChampionState) -> str:
    if state.champion is None:
        return "there is no champion"
    return f"the champion, version {state.champion.number}, is lost"


def _promotion_record(
    versions: Versions,
    version: VersionId,
    state: ChampionState,
    results: list[GateResult],
    candidate: Measurement,
    champion: Measurement | None,
    notes: tuple[str, ...],
    who: str,
) -> PromotionRecord:
    failed = [result for result in results if not result.passed]
    return PromotionRecord(
        action="promote",
        promoted=not failed,
        model_name=versions.name,
        version=version,
        champion_before=state.champion,
        reasons=tuple(result.sentence for result in failed or results),
        who=who,
        when=provenance.now(),
        commit=provenance.commit(),
        gates=tuple(results),
        candidate=candidate.metrics,
        champion=champion.metrics if champion else None,
        notes=notes,
    )


def _faces_notes(candidate: _Contender, champion: _Contender | None) -> tuple[str, ...]:
    """Return a note if the two models learned from faces that were taken in different ways."""

    if champion is None:
        return ()
    learned = read_faces_version(candidate.bundle)
    before = read_faces_version(champion.bundle)
    if learned == before:
        return ()
    return (
        f"version {candidate.version.number} learned from faces taken by version {learned} of the "
        f"extraction, the champion from faces taken by version {before}; both were scored on the same "
        "faces, which favours the one that learned from faces taken as these",
    )


def _measurements(
    versions: Versions,
    gates: GatesSection,
    candidate: _Contender,
    champion: _Contender | None,
    measure: Measure,
    *,
    store: bool,
) -> tuple[Measurement, Measurement | None]:
    """Return the measurements of both models on one evaluation set, stored ones where possible."""

    def measure_now(contender: _Contender) -> Measurement:
        measurement = measure(contender.version.number, contender.bundle)
        if store:
            save_measurement(versions, contender.version.number, measurement)
        return measurement

    first = load_measurement(versions, candidate.version.number)
    if first is not None and lacks_a_value(gates, first.metrics):
        first = None
    first = first or measure_now(candidate)
    if champion is None:
        return first, None
    evaluation_set = first.metrics.evaluation_set
    second = load_measurement(versions, champion.version.number, evaluation_set)
    second = second or measure_now(champion)
    current_set = second.metrics.evaluation_set
    if first.metrics.evaluation_set != current_set:
        # The candidate's stored scores are of an evaluation set that has changed since.
        stored = load_measurement(versions, candidate.version.number, current_set)
        first = stored or measure_now(candidate)
    if first.metrics.evaluation_set != current_set:
        raise RegistryError(
            f"Versions {candidate.version.number} and {champion.version.number} of {versions.name} were "
            f"scored on different sets, {first.metrics.evaluation_set} and {current_set}.",
            "Either the faces changed in between: try again when nothing writes them. Or the two score "
            "videos by different rules: evaluate and register the candidate with the champion's "
            "evaluation.video_rule, or under a registry.model_name of its own.",
        )
    return first, second


def _bundle(folder: Path) -> Path:
    return folder / "artifacts" / "bundle"
