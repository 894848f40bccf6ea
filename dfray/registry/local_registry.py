"""Registry in a database file of this machine, read at one look and without MLflow, whose import costs.

Only an answer that MLflow would surely give is given. Any other database, alias or package is left to MLflow,
which repairs it or says what is wrong.
"""

from __future__ import annotations

import os
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from dfray.errors import RegistryError
from dfray.registry.champion import ChampionState, champion_state, parsed_uri
from dfray.registry.checksums import TAG
from dfray.registry.history import OPEN, RECORD, SUFFIX, PromotionRecord, VersionId, record_in
from dfray.registry.versions import CHAMPION, PREVIOUS
from dfray.tracking.client import SQLITE

SCHEMAS = {"dc11669786a5"}
"""Revisions of MLflow's database that this module knows."""
_DELETED = "Deleted_Internal"  # how MLflow marks a version that was deleted
_DEFAULT = "default"  # the workspace of a database without workspaces


@dataclass(frozen=True)
class StoredVersion:
    """A version whose package lies on this machine.

    Attributes:
        digest: the tag with the SHA-256 of its list of checksums.
        place: the folder of its package.
    """

    name: str
    number: str
    digest: str
    place: Path


@dataclass
class _Model:
    """A registered model: alias -> number; number -> time of creation, URI of the package and tags."""

    aliases: dict[str, str] = field(default_factory=dict)
    created_ms: dict[str, int] = field(default_factory=dict)
    uris: dict[str, str] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))

    def identify(self, number: str | None) -> VersionId | None:
        return VersionId(number, self.created_ms[number]) if number in self.created_ms else None

    def number_of(self, version: VersionId | None) -> str | None:
        """Return the number of a version that exists; None: it was deleted, or there is none."""
        is_there = version is not None and self.identify(version.number) == version
        return version.number if version and is_there else None

    def records(self, name: str) -> list[PromotionRecord]:
        """Return the records of a history, the oldest first."""
        return [
            record_in(self.tags[number][RECORD], name, number, is_open=OPEN in self.tags[number])
            for number in sorted(self.created_ms, key=int)
            if RECORD in self.tags[number]
        ]


def stored_version(model_uri: str | None, tracking_uri: str) -> StoredVersion | None:
    """Return the version that `find_version` finds; None: that is for MLflow to say.

    Args:
        model_uri, tracking_uri: as of `find_version`.
    """
    if not tracking_uri.startswith(SQLITE) or "MLFLOW_WORKSPACE" in os.environ:
        return None
    try:
        models = _read(tracking_uri.removeprefix(SQLITE))
        found = _found(models, model_uri)
    except (sqlite3.Error, RegistryError, _UnclearError):
        return None
    if found is None:
        return None
    name, number = found
    digest, place = models[name].tags[number].get(TAG), _folder(models[name].uris[number])
    if digest is None or place is None:
        return None
    return StoredVersion(name, number, digest, place)


class _UnclearError(Exception):
    """MLflow would repair something, or refuse."""


def _read(path: str) -> dict[str, _Model]:
    """Return the registered models of a database, histories among them, as of one moment."""
    models: dict[str, _Model] = {}
    with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)) as database:
        database.execute("BEGIN")
        if {
            row[0] for row in database.execute("SELECT version_num FROM alembic_version")
        } - SCHEMAS:
            raise _UnclearError
        for name, workspace in database.execute("SELECT name, workspace FROM registered_models"):
            models[name] = _Model()
            if workspace != _DEFAULT:
                raise _UnclearError
        for name, number, created_ms, uri in database.execute(
            "SELECT name, version, creation_time, coalesce(storage_location, source) FROM model_versions "
            "WHERE current_stage IS NOT ?",
            (_DELETED,),
        ):
            if name in models:
                models[name].created_ms[str(number)], models[name].uris[str(number)] = (
                    created_ms,
                    uri,
                )
        for name, number, key, value in database.execute(
            "SELECT name, version, key, value FROM model_version_tags WHERE key IN (?, ?, ?)",
            (TAG, RECORD, OPEN),
        ):
            if name in models:
                models[name].tags[str(number)][key] = value
        for name, alias, number in database.execute(
            "SELECT name, alias, version FROM registered_model_aliases"
        ):
            if name in models:
                models[name].aliases[alias] = str(number)
    return models


def _found(models: dict[str, _Model], model_uri: str | None) -> tuple[str, str] | None:
    """Return name and number of the version that is wanted; None: there is none, or not one.

    Raises:
        _UnclearError: an alias is not where the history has it, or a champion is lost.
    """
    if model_uri is None:
        named = [name for name in models if not name.endswith(SUFFIX)]
        champions = [(name, number) for name in named if (number := _champion(models, name))]
        return champions[0] if len(champions) == 1 else None
    named_version = parsed_uri(model_uri)
    if named_version is None or named_version[0] not in models:
        return None
    name, reference = named_version
    if reference.isdigit():
        return (name, reference) if reference in models[name].created_ms else None
    champion = _champion(models, name)
    number = models[name].aliases.get(reference)
    number = champion if reference == CHAMPION and champion else number
    return (name, number) if number in models[name].created_ms else None


def _champion(models: dict[str, _Model], name: str) -> str | None:
    """Return the number of a model's champion; None: there never was one."""
    model = models[name]
    state = champion_state(models.get(name + SUFFIX, _Model()).records(name))
    if state.champion is None:
        state = replace(state, champion=model.identify(model.aliases.get(CHAMPION)))
    if state.champion is None:
        if CHAMPION in model.aliases:
            raise _UnclearError
        return None
    _require_followed(model, state)
    return state.champion.number


def _require_followed(model: _Model, state: ChampionState) -> None:
    """Raise unless the champion exists and the aliases are where `champion.sync_aliases` would put them."""
    champion, previous = map(model.number_of, (state.champion, state.previous))
    found = (model.aliases.get(CHAMPION), model.aliases.get(PREVIOUS))
    if champion is None or found != (champion, previous):
        raise _UnclearError


def _folder(uri: str) -> Path | None:
    """Return the folder that a URI of this machine names, if it is there."""
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file") or parts.netloc or parts.query or parts.fragment:
        return None
    place = Path(url2pathname(parts.path) if parts.scheme else uri)
    return place if place.is_absolute() and place.is_dir() else None
