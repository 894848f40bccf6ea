"""The versions of one registered model: aliases, and packages that are checked before they are used."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dfray.errors import RegistryError, UserError
from dfray.registry.checksums import NOT_CHECKED, TAG, faults_of
from dfray.registry.history import SUFFIX, History, VersionId
from dfray.tracking.client import SQLITE, connect, error_code, talking

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

CANDIDATE, CHAMPION, PREVIOUS = "candidate", "champion", "previous"


class DamagedPackageError(RegistryError):
    """What was registered as a version is gone or is not what is stored now; `fault` is the first of it."""

    def __init__(self, message: str, hint: str = "", fault: str = "") -> None:
        super().__init__(message, hint)
        self.fault = fault


class Versions:
    """The registered model `name` at `tracking_uri`; reads anew at every call."""

    def __init__(self, name: str, tracking_uri: str) -> None:
        self.name, self.tracking_uri = name, tracking_uri

    @cached_property
    def client(self) -> MlflowClient:
        return connect(self.tracking_uri)

    @property
    def history(self) -> History:
        return History(self.client, self.name)

    def model(self) -> RegisteredModel:
        """The registered model itself.

        Raises:
            UserError: there is none of this name; those that exist are named.
        """
        from mlflow.exceptions import MlflowException

        with talking(f"read the registered model {self.name}"):
            try:
                return self.client.get_registered_model(self.name)
            except MlflowException as error:
                if error_code(error) != "RESOURCE_DOES_NOT_EXIST":
                    raise
        if decided := len(self.history.read()):
            raise UserError(
                f"The registered model {self.name!r} on {self.tracking_uri} has been deleted by hand; "
                f"{decided} decision(s) about it are kept as {self.name}{SUFFIX}.",
                "Restore it from a backup of the database, or register a new candidate.",
            )
        known = registered_names(self.client)
        raise UserError(
            f"There is no registered model {self.name!r} on {self.tracking_uri}.",
            f"It has {', '.join(known) or 'none yet: train one with `dfray train`'}.",
        )

    def aliases(self) -> dict[str, str]:
        """alias -> version, both strings."""
        return {alias: str(version) for alias, version in self.model().aliases.items()}

    def resolve(self, reference: str) -> str:
        """The version that `reference` (an alias or a version number) stands for.

        Raises:
            UserError: no such alias or version; the message lists those that exist.
        """
        aliases = self.aliases()
        version = reference if reference.isdigit() else aliases.get(reference)
        if version is None:
            shown = ", ".join(f"{alias} (version {v})" for alias, v in sorted(aliases.items()))
            raise UserError(
                f"The model {self.name!r} has no alias {reference!r}.",
                f"Its aliases: {shown}." if shown else "It has no aliases yet.",
            )
        if version not in self.numbers():
            raise UserError(
                f"The model {self.name!r} has no version {version}.",
                f"Its versions: {', '.join(self.numbers()) or 'none'}.",
            )
        return version

    def numbers(self) -> list[str]:
        """Version numbers that exist, in order."""
        return [str(version.version) for version in self.all()]

    def all(self) -> list[ModelVersion]:
        """Every version there is, in order."""
        with talking(f"list the versions of {self.name}"):
            found = self.client.search_model_versions(f"name = '{self.name}'")
        return sorted(found, key=lambda version: int(version.version))

    def get(self, version: str) -> ModelVersion:
        with talking(f"read version {version} of {self.name}"):
            return self.client.get_model_version(self.name, version)

    def identify(self, version: str) -> VersionId:
        """What tells the version from a later one of the same number."""
        return VersionId(version, int(self.get(version).creation_timestamp))

    def exists(self, version: VersionId) -> bool:
        """Whether the version is there, and is still that one."""
        return any(
            (str(one.version), int(one.creation_timestamp)) == (version.number, version.created_ms)
            for one in self.all()
        )

    def of_run(self, run_id: str) -> str | None:
        """The latest version whose model the MLflow run `run_id` trained, if one is registered."""
        found = [version.version for version in self.all() if version.run_id == run_id]
        return str(found[-1]) if found else None

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
        """A local folder with the MLflow model of `version`, for as long as the block lasts.

        It is what was checked, without the bytecode that Python leaves beside code that it has run where it
        lies: none of it is run, and none is left there.

        Raises:
            DamagedPackageError: a file is gone, was added, or is not the one that was registered.
        """
        with tempfile.TemporaryDirectory(prefix="dfray-") as folder:
            path = self._download(version, folder)
            if faults := faults_of(path, self.get(version).tags.get(TAG)):
                fault = faults[0] + (f" (and {len(faults) - 1} more)" if len(faults) > 1 else "")
                raise DamagedPackageError(
                    f"The package of version {version} of {self.name} is damaged: {fault}.",
                    "Restore its artifacts from a backup, or register the model again.",
                    fault,
                )
            own = Path(folder, "checked")
            shutil.copytree(path.resolve(), own, ignore=NOT_CHECKED, copy_function=_link)
            yield own

    def _download(self, version: str, folder: str) -> Path:
        """What is stored now, in `folder` or where it lies already; an empty folder if nothing is."""
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
            except MlflowException:  # each store tells of what is gone in words of its own
                if list_artifacts(artifact_uri=uri, tracking_uri=self.tracking_uri):
                    raise
                path = folder
        return Path(path)


def _link(source: str, target: str) -> None:
    """Without a copy, where the file system can: MLflow refuses symbolic links that lead out of a model."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def registered_names(client: MlflowClient) -> list[str]:
    """Models that can be loaded, in order of name; the histories beside them are left out."""
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
