"""Views of one registered model: its versions with aliases, metrics, card and package state."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dfray.config import RegistrySection
from dfray.errors import UserError
from dfray.notes import warn
from dfray.registry.champion import current_champion, repaired_state, resolve
from dfray.registry.history import PromotionRecord
from dfray.registry.measurement_store import metrics_in_tags
from dfray.registry.measurements import HeadlineMetrics
from dfray.registry.versions import DamagedPackageError, Versions

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


_NOT_CHECKED = "not checked"
_JSON_KEYS = {"metrics": "figures"}


@dataclass(frozen=True)
class VersionView:
    """One registered version.

    Attributes:
        created: UTC, ISO 8601.
        run_id: of the MLflow run that made it.
        metrics: of each evaluation set that it was scored on, the latest first.
        package: ok, or a description of the damage; not checked: it was not downloaded.
        card: Markdown, as MLflow shows it.
    """

    number: str
    aliases: tuple[str, ...]
    created: str
    run_id: str | None
    metrics: tuple[HeadlineMetrics, ...]
    package: str
    card: str

    @property
    def damaged(self) -> bool:
        return self.package not in ("ok", _NOT_CHECKED)

    def to_dict(self) -> dict[str, Any]:
        """Return the view as JSON values; metrics under their key of old, `figures`."""
        values = asdict(self)
        return {_JSON_KEYS.get(name, name): value for name, value in values.items()}


def read_history(section: RegistrySection, tracking_uri: str) -> list[PromotionRecord]:
    """Return every promotion, refusal and rollback of the model, void ones too, the oldest first.

    Aliases that disagree with them are moved, unless the model has been deleted.

    Raises:
        UserError: there is no such model and never was.
    """
    versions = Versions(section.model_name, tracking_uri)
    records = versions.history.read()
    try:
        repaired_state(versions)
    except UserError:
        if not records:
            raise
    return records


def show_versions(section: RegistrySection, tracking_uri: str) -> list[VersionView]:
    """Return every version, the newest first; packages of versions with an alias are checked.

    Raises:
        UserError: there is no such model.
    """
    versions = Versions(section.model_name, tracking_uri)
    aliases = _aliases(versions)
    return [
        _view(versions, version, aliases, check=str(version.version) in aliases)
        for version in reversed(versions.all())
    ]


def show_version(section: RegistrySection, tracking_uri: str, reference: str) -> VersionView:
    """Return the version of an alias or a number, with its package checked.

    Raises:
        UserError: no such alias or version.
    """
    versions = Versions(section.model_name, tracking_uri)
    number = resolve(versions, reference)
    return _view(versions, versions.get(number), _aliases(versions), check=True)


def _aliases(versions: Versions) -> dict[str, tuple[str, ...]]:
    """Repair the aliases and return version -> aliases; print the error of a lost champion."""
    versions.model()  # raises if there is no such model
    try:
        current_champion(versions)
    except UserError as error:
        warn(str(error))
    by_version: dict[str, tuple[str, ...]] = {}
    for alias, version in sorted(versions.aliases().items()):
        by_version[version] = (*by_version.get(version, ()), alias)
    return by_version


def _view(
    versions: Versions,
    version: ModelVersion,
    aliases: dict[str, tuple[str, ...]],
    *,
    check: bool,
) -> VersionView:
    number = str(version.version)
    return VersionView(
        number=number,
        aliases=aliases.get(number, ()),
        created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC).isoformat(
            timespec="seconds"
        ),
        run_id=version.run_id,
        metrics=tuple(metrics_in_tags(version)),
        package=_state(versions, number) if check else _NOT_CHECKED,
        card=version.description or "",
    )


def _state(versions: Versions, number: str) -> str:
    try:
        with versions.downloaded(number):
            return "ok"
    except DamagedPackageError as error:
        return error.message
