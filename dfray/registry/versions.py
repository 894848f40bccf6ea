"""The versions of one registered model: aliases, and figures kept with each version.

Figures are tags on the version, one for each evaluation set, so that they go with the version wherever
the registry is copied to: `dfray.figures.<evaluation set>` holds JSON, `dfray.evaluation_set` the latest.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dfray.errors import UserError
from dfray.registry.connection import SQLITE, connect, talking
from dfray.registry.gates import Figures

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

CHAMPION, CANDIDATE = "champion", "candidate"
_FIGURES, _LATEST = "dfray.figures.", "dfray.evaluation_set"


class Versions:
    """The registered model `name` at `tracking_uri`; reads anew at every call."""

    def __init__(self, name: str, tracking_uri: str) -> None:
        self.name, self.tracking_uri = name, tracking_uri

    @cached_property
    def client(self) -> MlflowClient:
        return connect(self.tracking_uri)

    def model(self) -> RegisteredModel:
        """The registered model itself.

        Raises:
            UserError: there is none of this name; those that exist are named.
        """
        with talking("list registered models"):
            # A name that is not there is an error to MLflow; a search is not.
            known = {model.name: model for model in self.client.search_registered_models()}
            if self.name in known:
                return self.client.get_registered_model(self.name)
        raise UserError(
            f"There is no registered model {self.name!r} on {self.tracking_uri}.",
            f"It has {', '.join(sorted(known)) or 'none yet: train one with `dfray train`'}.",
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
        with talking(f"list the versions of {self.name}"):
            found = self.client.search_model_versions(f"name = '{self.name}'")
        return [str(number) for number in sorted(int(version.version) for version in found)]

    def get(self, version: str) -> ModelVersion:
        with talking(f"read version {version} of {self.name}"):
            return self.client.get_model_version(self.name, version)

    def point(self, alias: str, version: str) -> None:
        with talking(f"point {alias} of {self.name} to version {version}"):
            self.client.set_registered_model_alias(self.name, alias, version)

    @contextmanager
    def downloaded(self, version: str) -> Iterator[Path]:
        """The local folder of the MLflow model of `version`; a download lives as long as the block."""
        from mlflow.artifacts import download_artifacts

        with tempfile.TemporaryDirectory(prefix="dfray-") as folder:
            with talking(f"download version {version} of {self.name}"):
                path = download_artifacts(
                    artifact_uri=self.client.get_model_version_download_uri(self.name, version),
                    tracking_uri=self.tracking_uri,
                    dst_path=None if self.tracking_uri.startswith(SQLITE) else folder,
                )
            yield Path(path)

    def of_run(self, run_id: str) -> str | None:
        """The latest version whose model the MLflow run `run_id` trained, if one is registered."""
        with talking(f"look for a version of {self.name} by run {run_id}"):
            wanted = f"name = '{self.name}' and run_id = '{run_id}'"
            found = self.client.search_model_versions(wanted)
        return str(max(int(version.version) for version in found)) if found else None

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        with talking(f"tag version {version} of {self.name}"):
            for key, value in tags.items():
                self.client.set_model_version_tag(self.name, version, key, value)

    def figures(self, version: str, evaluation_set: str | None = None) -> Figures | None:
        """What `version` scored on `evaluation_set`, or on the one it was scored on last."""
        tags = self.get(version).tags
        kept = tags.get(_FIGURES + (evaluation_set or tags.get(_LATEST, "")))
        return Figures.from_dict(json.loads(kept)) if kept else None

    def keep_figures(self, version: str, figures: Figures) -> None:
        with talking(f"keep the figures of version {version} of {self.name}"):
            for key, value in figure_tags(figures).items():
                self.client.set_model_version_tag(self.name, version, key, value)


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
    return versions, versions.resolve(named[2])


def _only_champion(tracking_uri: str) -> tuple[Versions, str]:
    with talking("list registered models"):
        found = [model.name for model in connect(tracking_uri).search_registered_models()]
    models = [Versions(name, tracking_uri) for name in found]
    champions = [(model, model.aliases().get(CHAMPION)) for model in models]
    standing = [(model, version) for model, version in champions if version is not None]
    if len(standing) == 1:
        return standing[0]
    names = ", ".join(f"models:/{model.name}@{CHAMPION}" for model, _ in standing)
    raise UserError(
        f"{'Several models have' if standing else 'No model has'} a champion on {tracking_uri}.",
        f"Name one: {names}." if standing else "Train and promote one, or name the tracking URI.",
    )


def figure_tags(figures: Figures) -> dict[str, str]:
    """The tags of a version with `figures`: as JSON for us, flat for who reads MLflow's pages."""
    shown = {
        "auc": figures.auc,
        "balanced_accuracy": figures.balanced_accuracy,
        "coverage": figures.coverage,
    }
    return {
        _FIGURES + figures.evaluation_set: json.dumps(figures.to_dict()),
        _LATEST: figures.evaluation_set,
        "n_videos": str(figures.n_videos),
        **{name: f"{value:.4f}" for name, value in shown.items() if value is not None},
    }
