"""Which registered version is meant: by URI, by alias, or the only champion there is."""

from __future__ import annotations

import re

from dfray.errors import UserError
from dfray.registry.champion import champion_of
from dfray.registry.connection import connect
from dfray.registry.versions import CHAMPION, Versions, registered_names


def resolve(versions: Versions, reference: str) -> str:
    """The version that an alias or a number stands for; the champion is who the history says.

    Raises:
        UserError: there is none such, or the champion has been deleted.
    """
    champion = champion_of(versions) if reference == CHAMPION else None
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
    champions = [(model, champion_of(model)) for model in models]
    standing = [(model, version) for model, version in champions if version is not None]
    if len(standing) == 1:
        model, version = standing[0]
        return model, version.number
    names = ", ".join(f"models:/{model.name}@{CHAMPION}" for model, _ in standing)
    raise UserError(
        f"{'Several models have' if standing else 'No model has'} a champion on {tracking_uri}.",
        f"Name one: {names}." if standing else "Train and promote one, or name the tracking URI.",
    )
