"""Views of the registry, and scores by a registered model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from dfray.config import RegistrySection
from dfray.errors import UserError
from dfray.run_context import RunContext

if TYPE_CHECKING:
    from dfray.registry.history import PromotionRecord
    from dfray.registry.views import VersionView
    from dfray.serving.score_table import FileScore


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
    files: Iterable[str],
    *,
    model: str | None = None,
    tracking_uri: str | None = None,
    frames: str | None = None,
    out: str | None = None,
) -> Iterator[FileScore]:
    """Score videos and pictures with a registered model, by default the only champion there is.

    Args:
        files: files, folders, patterns, prefixes of a bucket, lists, or `-` for standard input: see
            `dfray.serving.inputs`.
        frames: where to write a row for each face, as in `score_in_detail`; the scores come at the end then.
        out: a .parquet, .csv or .jsonl file, local or s3://, that keeps the scores; what it has is not
            scored again.

    Yields:
        The score of each input, as it comes.

    Raises:
        UserError: there is no such model, an input gives nothing to score, `out` has scores of another
            model, or both `frames` and `out` are named.
    """
    from dfray.serving.inputs import expand_inputs
    from dfray.serving.score_files import scores_of
    from dfray.serving.score_in_detail import score_in_detail
    from dfray.tracking.client import resolve_tracking_uri

    section = RegistrySection(tracking_uri=tracking_uri)
    place = resolve_tracking_uri(section, "runs")
    if frames and out:
        raise UserError(
            "--frames keeps all faces to the end, and --out nothing.", "Name one of both."
        )
    if frames:
        uris = [item.uri for item in expand_inputs(files)]
        return iter(score_in_detail(uris, model_uri=model, tracking_uri=place, frames=frames))
    return scores_of(files, model_uri=model, tracking_uri=place, out=out)
