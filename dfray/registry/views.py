"""What a registry holds of one model: versions with their aliases, figures, card and state."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dfray.config import RegistrySection
from dfray.errors import UserError
from dfray.registry.champion import current_champion, resolve
from dfray.registry.history import PromotionRecord
from dfray.registry.measurement_store import metrics_in_tags
from dfray.registry.measurements import HeadlineMetrics
from dfray.registry.versions import DamagedPackageError, Versions

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


_NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class VersionView:
    """One version.

    Attributes:
        created: UTC, ISO 8601.
        run_id: of the MLflow run that made it.
        figures: of each evaluation set that it was scored on, the latest first.
        package: ok, or what is wrong with it; not checked: it was not downloaded.
        card: Markdown, as MLflow shows it.
    """

    number: str
    aliases: tuple[str, ...]
    created: str
    run_id: str | None
    figures: tuple[HeadlineMetrics, ...]
    package: str
    card: str

    @property
    def damaged(self) -> bool:
        return self.package not in ("ok", _NOT_CHECKED)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_history(section: RegistrySection, tracking_uri: str) -> list[PromotionRecord]:
    """Every promotion, refusal and rollback of the model, void ones too, the oldest first.

    Raises:
        UserError: there is no such model and never was.
    """
    versions = Versions(section.model_name, tracking_uri)
    past = versions.history.read()
    if not past:
        versions.model()
    return past


def show_versions(section: RegistrySection, tracking_uri: str) -> list[VersionView]:
    """Every version, the newest first; the packages of those with an alias are checked.

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
    """The version that an alias or a number stands for, its package checked.

    Raises:
        UserError: there is none such.
    """
    versions = Versions(section.model_name, tracking_uri)
    number = resolve(versions, reference)
    return _view(versions, versions.get(number), _aliases(versions), check=True)


def _aliases(versions: Versions) -> dict[str, tuple[str, ...]]:
    """version -> its aliases, put right first; a champion that is lost is told."""
    versions.model()  # one that is not there at all is the caller's error
    try:
        current_champion(versions)
    except UserError as error:
        print(error, file=sys.stderr)
    found: dict[str, tuple[str, ...]] = {}
    for alias, version in sorted(versions.aliases().items()):
        found[version] = (*found.get(version, ()), alias)
    return found


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
        figures=tuple(metrics_in_tags(version.tags)),
        package=_state(versions, number) if check else _NOT_CHECKED,
        card=version.description or "",
    )


def _state(versions: Versions, number: str) -> str:
    try:
        with versions.downloaded(number):
            return "ok"
    except DamagedPackageError as error:
        return error.message
