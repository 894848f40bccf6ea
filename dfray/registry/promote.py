"""Which version is the champion: it moves only through gates, and can be moved back.

`promote` measures both models on one evaluation set, checks the recipe's gates, writes the decision down and
only then lets the aliases follow; `rollback` undoes the last promotion that stands. Both packages are
checked against their checksums first: a champion that is damaged or gone is told, never passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dfray.config import GatesSection, RegistrySection
from dfray.errors import RegistryError, UserError
from dfray.registry.champion import (
    ChampionState,
    current_champion,
    follow,
    lost,
    read_champion_state,
    resolve,
)
from dfray.registry.gates import GateResult, check_gates
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
"""(version, local folder of its bundle) -> what it does on the evaluation set of today."""

Slowdown = Callable[[Path, Path], float]
"""(bundle of the candidate, of the champion) -> CPU seconds a face of the one over the other's."""


@dataclass(frozen=True)
class _Contender:
    """A version that a decision is about, with its package at hand."""

    version: VersionId
    bundle: Path


def promote(
    section: RegistrySection,
    tracking_uri: str,
    version: str | None = None,
    *,
    measure: Measure,
    slowdown: Slowdown,
    dry_run: bool = False,
    over_lost_champion: bool = False,
    who: str | None = None,
) -> PromotionRecord:
    """Make `version` the champion if the gates hold; a refusal is a PromotionRecord too, with its reasons.

    Args:
        version: a version number or an alias; by default the alias `candidate`.
        measure: called only for a model that was not yet scored on the set. What it gives is kept.
        slowdown: called only if there is a champion and the gates ask for it.
        dry_run: decide, but write and move nothing.
        over_lost_champion: the champion is gone or damaged and not to be compared with.
        who: on whose behalf; by default the user's name.

    Raises:
        UserError: no such model, version or alias; it is the champion already; or the champion is gone
            or damaged, or is not while `over_lost_champion` says so.
        RegistryError: MLflow failed, the candidate's package is damaged, two models were scored on
            different sets, or someone else decided at the same time.
    """
    versions = Versions(section.model_name, tracking_uri)
    chosen = versions.identify(resolve(versions, version or CANDIDATE))
    known = read_champion_state(versions)
    if chosen == known.champion:
        raise UserError(
            f"Version {chosen.number} of {versions.name} is the champion already.",
            "Name another version, or register a new candidate.",
        )
    with ExitStack() as stack:
        champion = stack.enter_context(_champion(versions, over_lost_champion))
        folder = stack.enter_context(versions.downloaded(chosen.number))
        candidate = _Contender(chosen, _bundle(folder))
        measured = _measured(
            versions, section.gates, candidate, champion, measure, keep=not dry_run
        )
        ratio = None
        if champion is not None and section.gates.max_slowdown is not None:
            ratio = slowdown(candidate.bundle, champion.bundle)
    results = _check(section.gates, *measured, ratio, known)
    decision = _decision(versions, chosen, known, results, *measured, who or provenance.who())
    return decision if dry_run else _carry_out(versions, decision, known)


def rollback(
    section: RegistrySection, tracking_uri: str, *, who: str | None = None
) -> PromotionRecord:
    """Make the champion of before the last promotion the champion again.

    Called twice it undoes the two last promotions. It works too if the champion is gone or damaged.

    Raises:
        UserError: there is nothing to go back to, or the version to go back to is gone.
        RegistryError: its package is damaged, or someone else decided at the same time.
    """
    versions = Versions(section.model_name, tracking_uri)
    versions.model()
    known = read_champion_state(versions)
    promotion = known.promotion
    if promotion is None or promotion.champion_before is None:
        first = f"version {known.champion.number} is the first." if known.champion else None
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
    with versions.downloaded(target.number):
        pass  # a damaged package is told before it becomes the champion
    decision = PromotionRecord(
        action="rollback",
        promoted=True,
        model_name=versions.name,
        version=target,
        champion_before=known.champion,
        reasons=(f"undoes decision {promotion.sequence}, by {promotion.who}",),
        who=who or provenance.who(),
        when=provenance.now(),
        commit=provenance.commit(),
        candidate=load_headline_metrics(versions, target.number),
        champion=promotion.candidate,
        undoes=promotion.sequence,
    )
    return _carry_out(versions, decision, known)


def _carry_out(
    versions: Versions, decision: PromotionRecord, known: ChampionState
) -> PromotionRecord:
    decision = versions.history.append(decision, known.seen)
    if decision.promoted:
        follow(versions)
    return decision


@contextmanager
def _champion(versions: Versions, over_lost: bool) -> Iterator[_Contender | None]:
    """The champion with its package; none if there never was one, or if it is lost and may be."""
    with ExitStack() as stack:
        try:
            version = current_champion(versions)
            if version is not None:
                try:
                    folder = stack.enter_context(versions.downloaded(version.number))
                except DamagedPackageError as error:
                    raise lost(versions, version, f"is damaged: {error.fault}") from error
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


def _check(
    gates: GatesSection,
    candidate: Measurement,
    champion: Measurement | None,
    slowdown: float | None,
    known: ChampionState,
) -> list[GateResult]:
    from dfray.evaluation.protocol import load_protocol

    lost_before = (
        f"the champion, version {known.champion.number}, is lost" if known.champion else ""
    )
    return check_gates(
        gates,
        candidate,
        champion,
        why_alone=lost_before or "there is no champion",
        slowdown=slowdown,
        protocols=[load_protocol(name) for name in gates.protocols],
    )


def _decision(
    versions: Versions,
    version: VersionId,
    known: ChampionState,
    results: list[GateResult],
    candidate: Measurement,
    champion: Measurement | None,
    who: str,
) -> PromotionRecord:
    failed = [result for result in results if not result.passed]
    return PromotionRecord(
        action="promote",
        promoted=not failed,
        model_name=versions.name,
        version=version,
        champion_before=known.champion,
        reasons=tuple(result.sentence for result in failed or results),
        who=who,
        when=provenance.now(),
        commit=provenance.commit(),
        gates=tuple(results),
        candidate=candidate.metrics,
        champion=champion.metrics if champion else None,
    )


def _measured(
    versions: Versions,
    gates: GatesSection,
    candidate: _Contender,
    champion: _Contender | None,
    measure: Measure,
    *,
    keep: bool,
) -> tuple[Measurement, Measurement | None]:
    """Both models on one evaluation set, from what was kept or by measuring now."""

    def now(which: _Contender) -> Measurement:
        measured = measure(which.version.number, which.bundle)
        if keep:
            save_measurement(versions, which.version.number, measured)
        return measured

    ours = load_measurement(versions, candidate.version.number)
    if ours is not None and _lacks(gates, ours):
        ours = None
    ours = ours or now(candidate)
    if champion is None:
        return ours, None
    theirs = load_measurement(versions, champion.version.number, ours.metrics.evaluation_set)
    theirs = theirs or now(champion)
    today = theirs.metrics.evaluation_set
    if ours.metrics.evaluation_set != today:
        # The candidate was scored on a set that is no longer the one of today.
        ours = load_measurement(versions, candidate.version.number, today) or now(candidate)
    if ours.metrics.evaluation_set != today:
        raise RegistryError(
            f"Versions {candidate.version.number} and {champion.version.number} of {versions.name} were "
            f"scored on different sets, {ours.metrics.evaluation_set} and {today}.",
            "Either the faces changed in between: try again when they stand still. Or the two score videos "
            "by different rules: evaluate and register the candidate with the champion's "
            "evaluation.video_rule, or under a registry.model_name of its own.",
        )
    return ours, theirs


def _lacks(gates: GatesSection, measured: Measurement) -> bool:
    """Whether the gates ask for something that was not measured when the version was."""
    figures = measured.metrics
    return (gates.max_post_processing_drop is not None and figures.worst_drop is None) or (
        gates.max_calibration_error is not None and figures.calibration_error is None
    )


def _bundle(folder: Path) -> Path:
    return folder / "artifacts" / "bundle"
