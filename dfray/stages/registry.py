"""What is in the registry: the decisions, the versions, and the scores that the champion gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfray.config import Recipe, RegistrySection
from dfray.stages.training import tracking_uri

if TYPE_CHECKING:
    from dfray.registry.history import Decision
    from dfray.registry.views import VersionView
    from dfray.serving.score_files import FileScore


def history(recipe: Recipe) -> list[Decision]:
    """Every promotion, refusal and rollback of the recipe's model, oldest first."""
    from dfray.registry.views import read_decisions

    return read_decisions(recipe.registry, tracking_uri(recipe))


def show(recipe: Recipe, version: str | None = None) -> list[VersionView]:
    """Every version of the recipe's model, newest first; or the one of a number or an alias, in full."""
    from dfray.registry.views import show_version, show_versions

    uri = tracking_uri(recipe)
    if version is None:
        return show_versions(recipe.registry, uri)
    return [show_version(recipe.registry, uri, version)]


def score(
    files: list[str], *, model: str | None = None, tracking_uri: str | None = None
) -> list[FileScore]:
    """Score videos and pictures with a registered model, by default the only champion there is."""
    from dfray.serving.score_files import score_files
    from dfray.tracking.client import resolve_tracking_uri

    section = RegistrySection(tracking_uri=tracking_uri)
    return score_files(files, model_uri=model, tracking_uri=resolve_tracking_uri(section, "runs"))
