"""Champion of a registered model: the history determines it, and the aliases follow.

A promotion is first recorded in the history; then the aliases `champion` and `previous` are moved. Every
command of the registry first compares both, moves the aliases that disagree (the promoting process died in
between, or somebody moved an alias without the gates), and prints it. A model without records keeps its
alias.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dfray.errors import RegistryError, UserError
from dfray.notes import warn
from dfray.registry.history import PromotionRecord, VersionId
from dfray.registry.versions import CHAMPION, PREVIOUS, Versions, registered_names
from dfray.tracking.client import connect

_MAX_ROUNDS = 10


@dataclass(frozen=True)
class ChampionState:
    """Champion according to the history.

    Attributes:
        champion: made champion by the last record that counts; None: there is none.
        decision: that record; None: there is none, or the champion is one by its alias alone.
        promotion: the promotion that made it champion; a rollback would undo it.
        last_sequence: number of the last record in the history.
    """

    champion: VersionId | None = None
    decision: PromotionRecord | None = None
    promotion: PromotionRecord | None = None
    last_sequence: int = 0

    @property
    def previous(self) -> VersionId | None:
        """Champion after a rollback."""
        return self.promotion.champion_before if self.promotion else None


def champion_state(records: Sequence[PromotionRecord]) -> ChampionState:
    """Return the state after `records`, the oldest first; every rollback undoes one promotion."""
    promotions: list[PromotionRecord] = []
    decision = None
    for record in records:
        if not record.moved:
            continue
        decision = record
        if record.action == "promote":
            promotions.append(record)
        else:
            promotions = [entry for entry in promotions if entry.sequence != record.undoes]
    last_sequence = records[-1].sequence or 0 if records else 0
    return ChampionState(
        decision.version if decision else None,
        decision,
        promotions[-1] if promotions else None,
        last_sequence,
    )


def read_champion_state(versions: Versions) -> ChampionState:
    """Return the state by the history, or by an alias set by hand if nothing was recorded yet."""
    state = champion_state(versions.history.read())
    by_hand = versions.aliases().get(CHAMPION) if state.champion is None else None
    if by_hand is None:
        return state
    return replace(state, champion=versions.identify(by_hand))


def sync_aliases(versions: Versions, state: ChampionState | None = None) -> list[str]:
    """Move the aliases until they agree with the history; return a sentence for each move.

    The history is read again after every move: if two processes move at once, the later record wins.

    Args:
        state: as just read from the history.

    Raises:
        RegistryError: MLflow refused, or they never agreed.
    """
    moved: list[str] = []
    for _ in range(_MAX_ROUNDS):
        state = state or read_champion_state(versions)
        if state.champion is None:
            return moved
        aliases = versions.aliases()
        targets = {
            CHAMPION: _number(versions, state.champion),
            PREVIOUS: _number(versions, state.previous),
        }
        wrong = {alias: to for alias, to in targets.items() if aliases.get(alias) != to}
        if not wrong:
            return moved
        for alias, to in wrong.items():
            moved.append(_move(versions, alias, aliases.get(alias), to))
        state = None
    raise RegistryError(
        f"The aliases of {versions.name} still disagree with the history after {_MAX_ROUNDS} moves.",
        "Another process keeps moving them; stop it, then try again.",
    )


def repaired_state(versions: Versions) -> ChampionState:
    """Return the state, after moving the aliases that disagree with it; print each move.

    Raises:
        UserError: there is no such model.
    """
    state = read_champion_state(versions)
    try:
        for sentence in sync_aliases(versions, state):
            warn(f"repaired from the history: {sentence}")
    except RegistryError as error:
        warn(f"an alias of {versions.name} is wrong and could not be moved: {error}")
    return state


def current_champion(versions: Versions, state: ChampionState | None = None) -> VersionId | None:
    """Return the champion, after repairing the aliases; None only if there never was one.

    Args:
        state: as `repaired_state` has just returned it.

    Raises:
        UserError: the champion's version has been deleted, or there is no such model.
    """
    champion = (state or repaired_state(versions)).champion
    if champion is not None and not versions.exists(champion):
        raise lost_champion_error(versions, champion, "has been deleted by hand")
    return champion


def lost_champion_error(versions: Versions, champion: VersionId, reason: str) -> UserError:
    """Return the error for a champion that is deleted or damaged; nothing replaces it."""
    return UserError(
        f"The champion of {versions.name}, version {champion.number}, {reason}. It was not replaced.",
        "Restore it from a backup, go back with `dfray rollback`, or promote another version over it "
        "with `dfray promote --over-lost-champion`.",
    )


def _number(versions: Versions, version: VersionId | None) -> str | None:
    """Return the number for an alias; None for a deleted version, whose alias MLflow deletes too."""
    return version.number if version and versions.exists(version) else None


def _move(versions: Versions, alias: str, before: str | None, to: str | None) -> str:
    """Move one alias and return a sentence about it."""
    if to is None:
        versions.unpoint(alias)
    else:
        versions.point(alias, to)
    was = f"version {before}" if before else "nothing"
    return f"the alias {alias} of {versions.name} pointed to {was} and now to " + (
        f"version {to}" if to else "nothing"
    )


def resolve(versions: Versions, reference: str, state: ChampionState | None = None) -> str:
    """Return the version of a number or an alias; the champion is that of the history.

    Args:
        state: as `repaired_state` has just returned it; by default an alias is repaired first.

    Raises:
        UserError: no such alias or version, or the champion has been deleted.
    """
    if not reference.isdigit():
        state = state or repaired_state(versions)
    champion = current_champion(versions, state) if reference == CHAMPION else None
    return champion.number if champion else versions.resolve(reference)


def find_version(model_uri: str | None, tracking_uri: str) -> tuple[Versions, str]:
    """Return the model and version of `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Without a URI it is the champion, if exactly one model has one.

    Raises:
        UserError: the URI is of another form, it names nothing that exists, or there is no champion or
            more than one.
    """
    if model_uri is None:
        return _only_champion(tracking_uri)
    named = parsed_uri(model_uri)
    if named is None:
        raise UserError(
            f"{model_uri!r} names no registered model.",
            "Write models:/NAME@ALIAS or models:/NAME/VERSION.",
        )
    versions = Versions(named[0], tracking_uri)
    return versions, resolve(versions, named[1])


def parsed_uri(model_uri: str) -> tuple[str, str] | None:
    """Return name and alias or version of models:/NAME@ALIAS or models:/NAME/VERSION; None: another form."""
    match = re.fullmatch(r"models:/([^/@]+)[/@]([^/@]+)", model_uri)
    return (match[1], match[2]) if match else None


def _only_champion(tracking_uri: str) -> tuple[Versions, str]:
    """Return the model and version of the only champion.

    Raises:
        UserError: no model has a champion, or several have.
    """
    models = [Versions(name, tracking_uri) for name in registered_names(connect(tracking_uri))]
    champions = [
        (model, version) for model in models if (version := current_champion(model)) is not None
    ]
    if len(champions) == 1:
        model, version = champions[0]
        return model, version.number
    names = ", ".join(f"models:/{model.name}@{CHAMPION}" for model, _ in champions)
    raise UserError(
        f"{'Several models have' if champions else 'No model has'} a champion on {tracking_uri}.",
        f"Name one: {names}." if champions else "Train and promote one, or name the tracking URI.",
    )
