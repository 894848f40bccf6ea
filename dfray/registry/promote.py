"""Which version is the champion: it moves only through gates, and can be moved back.

The alias `champion` is what everything else loads. `promote` scores both models on one evaluation set, checks
the recipe's gates, writes the decision down and only then moves the alias; `rollback` undoes the last
promotion that stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dfray.config import GatesSection, RegistrySection
from dfray.errors import RegistryError, UserError
from dfray.registry import provenance
from dfray.registry.gates import Figures, check_gates
from dfray.registry.history import Decision, read_history, write_down
from dfray.registry.versions import CANDIDATE, CHAMPION, Versions

Evaluate = Callable[[str], Figures]


def promote(
    section: RegistrySection,
    tracking_uri: str,
    version: str | None = None,
    *,
    evaluate: Evaluate,
    dry_run: bool = False,
    who: str | None = None,
) -> Decision:
    """Make `version` the champion if the gates hold; a refusal is a Decision too, with its reasons.

    Args:
        version: a version number or an alias; by default the alias `candidate`.
        evaluate: version -> its figures on the evaluation set of today; called only for a model that was
            not yet scored on that set. What it gives is kept with the version.
        dry_run: decide, but write and move nothing.
        who: on whose behalf; by default the user's name.

    Raises:
        UserError: no such model, version or alias; it is the champion already; or the champion of the
            history is gone.
        RegistryError: MLflow failed, or `evaluate` scored two models on different sets.
    """
    versions = Versions(section.model_name, tracking_uri)
    version = versions.resolve(version or CANDIDATE)
    before = _standing_champion(versions)
    if version == before:
        raise UserError(
            f"Version {version} of {section.model_name} is the champion already.",
            "Name another version, or register a new candidate.",
        )
    candidate, champion = _figures(versions, version, before, evaluate, keep=not dry_run)
    decision = _decide(section.gates, versions.name, version, before, candidate, champion)
    decision = replace(decision, who=who or provenance.who())
    if dry_run:
        return decision
    return _carry_out(versions, decision)


def rollback(section: RegistrySection, tracking_uri: str, *, who: str | None = None) -> Decision:
    """Make the champion of before the last promotion the champion again.

    Called twice it undoes the two last promotions. It works too if the champion's version is gone.

    Raises:
        UserError: there is nothing to go back to, or the version to go back to is gone.
    """
    versions = Versions(section.model_name, tracking_uri)
    past = read_history(versions)
    current = versions.aliases().get(CHAMPION) or _last_champion(past)
    undone = {d.undoes for d in past}
    promotion = next(
        (
            d
            for d in reversed(past)
            if d.action == "promote"
            and d.promoted
            and d.version == current
            and d.sequence not in undone
        ),
        None,
    )
    if promotion is None or promotion.champion_before is None:
        raise UserError(
            f"There is no champion of {versions.name} to go back to: "
            + (f"version {current} is the first." if current else "none was promoted yet."),
            "See `dfray history`.",
        )
    target = promotion.champion_before
    if target not in versions.numbers():
        raise UserError(
            f"The champion before, version {target} of {versions.name}, has been deleted.",
            "Promote another version instead.",
        )
    decision = Decision(
        action="rollback",
        promoted=True,
        model_name=versions.name,
        version=target,
        champion_before=current,
        reasons=(f"undoes decision {promotion.sequence}, by {promotion.who}",),
        who=who or provenance.who(),
        when=provenance.now(),
        candidate=versions.figures(target),
        champion=promotion.candidate,
        undoes=promotion.sequence,
    )
    return _carry_out(versions, decision)


def history(section: RegistrySection, tracking_uri: str) -> list[Decision]:
    """Every promotion, refusal and rollback of the model, the oldest first."""
    return read_history(Versions(section.model_name, tracking_uri))


def _carry_out(versions: Versions, decision: Decision) -> Decision:
    decision = write_down(versions, decision)
    if decision.promoted:
        versions.point(CHAMPION, decision.version)
    return decision


def _standing_champion(versions: Versions) -> str | None:
    """The champion's version; None only if there never was one.

    MLflow drops an alias together with the version it points to, so a missing alias is looked up in the
    history: a champion that was deleted must not count as one that never was.
    """
    version = versions.aliases().get(CHAMPION)
    if version is not None:
        return version
    last = _last_champion(read_history(versions))
    if last is None:
        return None
    raise UserError(
        f"The champion of {versions.name} was version {last}, and the alias {CHAMPION} is gone"
        + (", the version with it." if last not in versions.numbers() else "."),
        "Go back with `dfray rollback`, or set the alias yourself in MLflow; then promote.",
    )


def _last_champion(past: list[Decision]) -> str | None:
    return next((d.version for d in reversed(past) if d.promoted), None)


def _figures(
    versions: Versions, version: str, before: str | None, evaluate: Evaluate, *, keep: bool
) -> tuple[Figures, Figures | None]:
    """Figures of both models on one evaluation set, from their tags or by scoring them now."""

    def score(which: str) -> Figures:
        figures = evaluate(which)
        if keep:
            versions.keep_figures(which, figures)
        return figures

    candidate = versions.figures(version) or score(version)
    if before is None:
        return candidate, None
    champion = versions.figures(before, candidate.evaluation_set) or score(before)
    if champion.evaluation_set != candidate.evaluation_set:
        # The candidate was scored on a set that is no longer the one of today.
        candidate = versions.figures(version, champion.evaluation_set) or score(version)
    if champion.evaluation_set != candidate.evaluation_set:
        raise RegistryError(
            f"Versions {version} and {before} of {versions.name} were scored on different sets, "
            f"{candidate.evaluation_set} and {champion.evaluation_set}.",
            "Either the faces changed in between: try again when they stand still. Or the two score videos "
            "by different rules: evaluate and register the candidate with the champion's "
            "evaluation.video_rule, or under a registry.model_name of its own.",
        )
    return candidate, champion


def _decide(
    gates: GatesSection,
    name: str,
    version: str,
    before: str | None,
    candidate: Figures,
    champion: Figures | None,
) -> Decision:
    results = check_gates(gates, candidate, champion)
    failed = [result for result in results if not result.passed]
    return Decision(
        action="promote",
        promoted=not failed,
        model_name=name,
        version=version,
        champion_before=before,
        reasons=tuple(result.sentence for result in failed or results),
        who=provenance.who(),
        when=provenance.now(),
        gates=tuple(results),
        candidate=candidate,
        champion=champion,
    )
