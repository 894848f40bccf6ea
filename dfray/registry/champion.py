"""Who is the champion: the history decides, and the aliases follow it.

A decision is written down first and the aliases `champion` and `previous` are moved after it. Whoever reads
the champion compares them with the history, moves what does not agree (the process that decided died in
between, or somebody moved an alias past the gates) and says so. A model without decisions keeps the
alias that it has.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from dfray.errors import RegistryError, UserError
from dfray.registry.history import PromotionRecord, VersionId
from dfray.registry.versions import CHAMPION, PREVIOUS, Versions, registered_names
from dfray.tracking.client import connect

_ROUNDS = 10


@dataclass(frozen=True)
class ChampionState:
    """What the history says.

    Attributes:
        champion: the version that the last decision which counts made champion; None: there is none.
        promotion: the promotion that made it so; what a rollback would undo.
        seen: the last number in the history.
    """

    champion: VersionId | None = None
    promotion: PromotionRecord | None = None
    seen: int = 0

    @property
    def previous(self) -> VersionId | None:
        """What a rollback goes back to."""
        return self.promotion.champion_before if self.promotion else None


def standing(past: Sequence[PromotionRecord]) -> ChampionState:
    """Who the decisions made champion, the oldest first; every rollback undoes one promotion."""
    promotions: list[PromotionRecord] = []
    champion = None
    for decision in past:
        if not decision.moved:
            continue
        champion = decision.version
        if decision.action == "promote":
            promotions.append(decision)
        else:
            promotions = [one for one in promotions if one.sequence != decision.undoes]
    seen = past[-1].sequence or 0 if past else 0
    return ChampionState(champion, promotions[-1] if promotions else None, seen)


def read_champion_state(versions: Versions) -> ChampionState:
    """The standing, with an alias set by hand where there are no decisions yet."""
    known = standing(versions.history.read())
    by_hand = versions.aliases().get(CHAMPION) if known.champion is None else None
    if by_hand is None:
        return known
    return ChampionState(versions.identify(by_hand), None, known.seen)


def follow(versions: Versions) -> list[str]:
    """Move the aliases to where the history says, until both agree; what was moved, in words.

    Reads again after every move, so that of two who move at once the later decision stands.

    Raises:
        RegistryError: MLflow refused, or they never agreed.
    """
    moved: list[str] = []
    for _ in range(_ROUNDS):
        want, have = read_champion_state(versions), versions.aliases()
        if want.champion is None:
            return moved
        wrong = [
            (alias, version)
            for alias, version in ((CHAMPION, want.champion), (PREVIOUS, want.previous))
            if have.get(alias) != _number(versions, version)
        ]
        if not wrong:
            return moved
        for alias, version in wrong:
            moved.append(_move(versions, alias, have.get(alias), _number(versions, version)))
    raise RegistryError(
        f"The aliases of {versions.name} do not stay where the history puts them.",
        "Something else moves them all the time; stop it, then try again.",
    )


def current_champion(versions: Versions) -> VersionId | None:
    """The champion, after putting the aliases right; None only if there never was one.

    Raises:
        UserError: the champion's version has been deleted.
    """
    known = read_champion_state(versions)
    if known.champion is None:
        return None
    if not versions.exists(known.champion):
        raise lost(versions, known.champion, "has been deleted by hand")
    try:
        for sentence in follow(versions):
            print(f"repaired from the history: {sentence}", file=sys.stderr)
    except RegistryError as error:
        print(f"an alias of {versions.name} is wrong and stays so: {error}", file=sys.stderr)
    return known.champion


def lost(versions: Versions, champion: VersionId, what: str) -> UserError:
    """The champion cannot be had: told, and nothing put in its place."""
    return UserError(
        f"The champion of {versions.name}, version {champion.number}, {what}. It was not replaced.",
        "Restore it from a backup, go back with `dfray rollback`, or promote another version over it "
        "with `dfray promote --over-lost-champion`.",
    )


def _number(versions: Versions, version: VersionId | None) -> str | None:
    """What an alias should point to; none for a version that is gone, as MLflow has it."""
    return version.number if version and versions.exists(version) else None


def _move(versions: Versions, alias: str, before: str | None, to: str | None) -> str:
    if to is None:
        versions.unpoint(alias)
    else:
        versions.point(alias, to)
    was = f"version {before}" if before else "nothing"
    return f"the alias {alias} of {versions.name} pointed to {was} and now to " + (
        f"version {to}" if to else "nothing"
    )


def resolve(versions: Versions, reference: str) -> str:
    """The version that an alias or a number stands for; the champion is who the history says.

    Raises:
        UserError: there is none such, or the champion has been deleted.
    """
    champion = current_champion(versions) if reference == CHAMPION else None
    return champion.number if champion else versions.resolve(reference)


def find_version(model_uri: str | None, tracking_uri: str) -> tuple[Versions, str]:
    """The model and version that `models:/NAME@ALIAS` or `models:/NAME/VERSION` stands for.

    Without a URI it is the champion, if one model only has one.

    Raises:
        UserError: the URI is of another form, it names nothing that exists, or there is no champion or
            more than one.
    """
    if model_uri is None:
        return _only_champion(tracking_uri)
    named = re.fullmatch(r"models:/([^/@]+)[/@]([^/@]+)", model_uri)
    if named is None:
        raise UserError(
            f"{model_uri!r} names no registered model.",
            "Write models:/NAME@ALIAS or models:/NAME/VERSION.",
        )
    versions = Versions(named[1], tracking_uri)
    return versions, resolve(versions, named[2])


def _only_champion(tracking_uri: str) -> tuple[Versions, str]:
    models = [Versions(name, tracking_uri) for name in registered_names(connect(tracking_uri))]
    champions = [(model, current_champion(model)) for model in models]
    standing = [(model, version) for model, version in champions if version is not None]
    if len(standing) == 1:
        model, version = standing[0]
        return model, version.number
    names = ", ".join(f"models:/{model.name}@{CHAMPION}" for model, _ in standing)
    raise UserError(
        f"{'Several models have' if standing else 'No model has'} a champion on {tracking_uri}.",
        f"Name one: {names}." if standing else "Train and promote one, or name the tracking URI.",
    )
