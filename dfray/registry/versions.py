"""Versions of one registered model: aliases, tags, and packages that are checked before use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dfray import storage
from dfray.errors import UserError
from dfray.registry.checksums import TAG
from dfray.registry.history import SUFFIX, History, VersionId
from dfray.registry.packages import DamagedPackageError as DamagedPackageError
from dfray.registry.packages import checked_package
from dfray.tracking.client import SQLITE, connect, error_code, talking

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

CANDIDATE, CHAMPION, PREVIOUS = "candidate", "champion", "previous"


class Versions:
    """The registered model `name` at `tracking_uri`; every call reads it from MLflow."""

    def __init__(self, name: str, tracking_uri: str) -> None:
        self.name, self.tracking_uri = name, tracking_uri

    @cached_property
    def client(self) -> MlflowClient:
        return connect(self.tracking_uri)

    @property
    def history(self) -> History:
        return History(self.client, self.name)

    def model(self) -> RegisteredModel:
        """Return the registered model itself.

        Raises:
            UserError: there is none of this name; the message lists those that exist.
        """
        from mlflow.exceptions import MlflowException

        with talking(f"read the registered model {self.name}"):
            try:
                return self.client.get_registered_model(self.name)
            except MlflowException as error:
                if error_code(error) != "RESOURCE_DOES_NOT_EXIST":
                    raise
        if n_records := len(self.history.read()):
            raise UserError(
                f"The registered model {self.name!r} on {self.tracking_uri} has been deleted by hand; "
                f"{n_records} decision(s) about it are kept as {self.name}{SUFFIX}.",
                "Restore it from a backup of the database, or register a new candidate.",
            )
        names = registered_names(self.client)
        raise UserError(
            f"There is no registered model {self.name!r} on {self.tracking_uri}.",
            f"It has {', '.join(names) or 'none yet: train one with `dfray train`'}.",
        )

    def aliases(self) -> dict[str, str]:
        """Return alias -> version number, both strings."""
        return {alias: str(version) for alias, version in self.model().aliases.items()}

    def resolve(self, reference: str) -> str:
        """Return the version number that `reference` (an alias or a version number) stands for.

        Raises:
            UserError: no such alias or version; the message lists those that exist.
        """
        aliases = self.aliases()
        version = reference if reference.isdigit() else aliases.get(reference)
        if version is None:
            existing = ", ".join(f"{alias} (version {v})" for alias, v in sorted(aliases.items()))
            raise UserError(
                f"The model {self.name!r} has no alias {reference!r}.",
                f"Its aliases: {existing}." if existing else "It has no aliases yet.",
            )
        stored = self._find(version)
        if stored is None:
            raise UserError(
                f"The model {self.name!r} has no version {version}.",
                f"Its versions: {', '.join(self.numbers()) or 'none'}.",
            )
        return str(stored.version)

    def numbers(self) -> list[str]:
        """Return the version numbers that exist, in order."""
        return [str(version.version) for version in self.all()]

    def all(self) -> list[ModelVersion]:
        """Return every version, in order."""
        with talking(f"list the versions of {self.name}"):
            versions = self.client.search_model_versions(f"name = '{self.name}'")
        return sorted(versions, key=lambda version: int(version.version))

    def get(self, version: str) -> ModelVersion:
        with talking(f"read version {version} of {self.name}"):
            return self.client.get_model_version(self.name, version)

    def identify(self, version: str) -> VersionId:
        """Return the identity of the version, which a later one of the same number does not share."""
        return VersionId(version, int(self.get(version).creation_timestamp))

    def exists(self, version: VersionId) -> bool:
        """Return True if the version exists and was not replaced by a later one of its number."""
        stored = self._find(version.number)
        return stored is not None and int(stored.creation_timestamp) == version.created_ms

    def _find(self, version: str) -> ModelVersion | None:
        """Return the version; None: there is none of this number."""
        from mlflow.exceptions import MlflowException

        with talking(f"read version {version} of {self.name}"):
            try:
                return self.client.get_model_version(self.name, version)
            except MlflowException as error:
                if error_code(error) not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                return None

    def of_run(self, run_id: str, tags: Mapping[str, str]) -> ModelVersion | None:
        """Return the first version that the MLflow run trained and that has the tags; None: there is none."""
        made = (version for version in self.all() if version.run_id == run_id)
        return next((one for one in made if tags.items() <= one.tags.items()), None)

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        with talking(f"tag version {version} of {self.name}"):
            for key, value in tags.items():
                self.client.set_model_version_tag(self.name, version, key, value)

    def point(self, alias: str, version: str) -> None:
        with talking(f"point {alias} of {self.name} to version {version}"):
            self.client.set_registered_model_alias(self.name, alias, version)

    def unpoint(self, alias: str) -> None:
        with talking(f"take the alias {alias} from {self.name}"):
            self.client.delete_registered_model_alias(self.name, alias)

    @contextmanager
    def downloaded(self, version: str) -> Iterator[Path]:
        """Yield a temporary local folder with the checked MLflow model of `version`, and nothing else.

        Files beside the package's own are not copied and never loaded; programs among them are told.

        Raises:
            DamagedPackageError: a file is gone, or is not the one that was registered.
        """
        with storage.temporary_folder() as folder:
            path = self._download(version, folder)
            digest = self.get(version).tags.get(TAG)
            with checked_package(path, digest, self.name, version) as checked:
                yield checked

    def _download(self, version: str, folder: str) -> Path:
        """Return the stored package in `folder` or at its local place; an empty folder if it is gone."""
        from mlflow.artifacts import download_artifacts, list_artifacts
        from mlflow.exceptions import MlflowException

        with talking(f"download version {version} of {self.name}"):
            uri = self.client.get_model_version_download_uri(self.name, version)
            try:
                path = download_artifacts(
                    artifact_uri=uri,
                    tracking_uri=self.tracking_uri,
                    dst_path=None if self.tracking_uri.startswith(SQLITE) else folder,
                )
            except (MlflowException, OSError):  # how a missing file is told differs
                if list_artifacts(artifact_uri=uri, tracking_uri=self.tracking_uri):
                    raise
                path = folder
        return Path(path)


def registered_names(client: MlflowClient) -> list[str]:
    """Return the names of registered models in order, without their histories."""
    names: list[str] = []
    token = None
    with talking("list registered models"):
        while True:
            page = client.search_registered_models(page_token=token)
            names += [model.name for model in page]
            token = page.token
            if not token:
                break
    return sorted(name for name in names if not name.endswith(SUFFIX))
