"""Views of the registry, and scores by a registered model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from dfray.config import RegistrySection
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
    report: str | None = None,
    truths: Mapping[str, str] | None = None,
    out: str | None = None,
    workers: int | None = None,
    address: str | None = None,
    earlier: Counter[str] | None = None,
) -> Iterator[FileScore]:
    """Score videos and pictures with a registered model, by default the only champion there is.

    Args:
        files: files, folders, patterns, prefixes of a bucket, lists, or `-` for standard input: see
            `dfray.serving.inputs`.
        out, frames, report, truths, earlier: as in `Outputs`: files that keep the scores and a row for each
            face, and a page; the outcomes of inputs that `out` has, which are not scored again.
        workers: processes that score, one CPU each; 1: this one. By default one for each free CPU, of this
            machine or of the cluster, and this process alone for a few inputs.
        address: of a running Ray cluster; by default that of RAY_ADDRESS, or a local one is started.

    Yields:
        The score of each input, as it comes.

    Raises:
        UserError: there is no such model, an input gives nothing to score, `out` has scores of another
            model, or `report` is asked of several workers.
    """
    from dfray.serving.score_files import Workers, scores_of
    from dfray.serving.score_outputs import Outputs
    from dfray.tracking.client import resolve_tracking_uri

    place = resolve_tracking_uri(RegistrySection(tracking_uri=tracking_uri), "runs")
    kept = Counter[str]() if earlier is None else earlier
    outputs = Outputs(out, frames, report, truths or {}, kept)
    pool = Workers(workers, address)
    return scores_of(files, outputs, model_uri=model, tracking_uri=place, workers=pool)
