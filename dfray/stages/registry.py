"""Views of the registry, and scores by a registered model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfray.config import RegistrySection
from dfray.run_context import RunContext

if TYPE_CHECKING:
    from dfray.registry.history import PromotionRecord
    from dfray.registry.views import VersionView
    from dfray.serving.score_files import FileScore


def promotion_history(run: RunContext) -> list[PromotionRecord]:
    """Return every promotion, refusal and rollback of the recipe's model, oldest first."""
    from dfray.registry.views import read_history

    return read_history(run.recipe.registry, run.tracking_uri)


def registered_versions(run: RunContext, version: str | None = None) -> list[VersionView]:
    """Return every version of the recipe's model, newest first; or a single one in full.

    Args:
        version: a number or an alias.
    """
    from dfray.registry.views import show_version, show_versions

    registry = run.recipe.registry
    if version is None:
        return show_versions(registry, run.tracking_uri)
    return [show_version(registry, run.tracking_uri, version)]


def score(
    files: list[str],
    *,
    model: str | None = None,
    tracking_uri: str | None = None,
    frames: str | None = None,
) -> list[FileScore]:
    """Score videos and pictures with a registered model, by default the only champion there is.

    Args:
        frames: where to write a row for each face, as in `score_in_detail`.
    """
    from dfray.serving.score_files import score_files
    from dfray.serving.score_in_detail import score_in_detail
    from dfray.tracking.client import resolve_tracking_uri

    place = resolve_tracking_uri(RegistrySection(tracking_uri=tracking_uri), "runs")
    if frames:
        return score_in_detail(files, model_uri=model, tracking_uri=place, frames=frames)
    return score_files(files, model_uri=model, tracking_uri=place)
