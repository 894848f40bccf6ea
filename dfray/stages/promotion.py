"""Promotion of a version to champion, and its rollback."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dfray import storage
from dfray.checks import Subject, require_sound
from dfray.progress import ASIDE, DONE, FAILED, stage
from dfray.run_context import RunContext
from dfray.run_status import promotion_of

if TYPE_CHECKING:
    from dfray.registry.history import PromotionRecord
    from dfray.registry.measurements import Measurement


def promote(
    run: RunContext,
    *,
    version: str | None = None,
    dry_run: bool = False,
    over_lost_champion: bool = False,
) -> PromotionRecord:
    """Move the alias `champion` to `version` (default: `candidate`) if the recipe's gates pass.

    Returns:
        The record of the promotion or of its refusal.

    Raises:
        CheckError: the promotion would fail, or no model can pass the gates; nothing was measured.
    """
    from dfray.registry.promote import promote as promote_version

    require_sound(Subject.as_listed(run), "promote")
    with stage("promote") as line:
        record = promote_version(
            run.recipe.registry,
            run.tracking_uri,
            version,
            protocol=run.recipe.evaluation.protocol,
            measure=partial(measure_version, run),
            slowdown=_slowdown,
            dry_run=dry_run,
            over_lost_champion=over_lost_champion,
        )
        line.finish(*_outcome(record, dry_run))
    if not dry_run:
        note_decision(run, record)
    return record


def _outcome(record: PromotionRecord, dry_run: bool) -> tuple[str, str]:
    """Return the stage's result and its mark; a dry run has changed nothing."""
    if dry_run:
        return f"would be {'promoted' if record.promoted else 'refused'}", ASIDE
    return ("promoted", DONE) if record.promoted else ("refused", FAILED)


def note_decision(run: RunContext, record: PromotionRecord) -> None:
    """Keep the decision with the run, if it is about the version that the run registered."""
    if not run.has_manifest or run.folder.state().version != record.version.number:
        return
    decided = dict(promotion_of(run).values)
    state = replace(run.folder.state(), decided=decided, promoted=record.promoted)
    run.folder.update_state(state)


def rollback(run: RunContext) -> PromotionRecord:
    """Undo the last promotion of the recipe's model and return the record."""
    from dfray.registry.promote import rollback as undo_promotion

    return undo_promotion(run.recipe.registry, run.tracking_uri)


def measure_version(run: RunContext, version: str, bundle: Path) -> Measurement:
    """Score a registered version on the run's held-out split by its own decision rule."""
    from dfray.evaluation.measure import measure_model
    from dfray.registry.measurements import Measurement

    registry = run.recipe.registry
    uri = run.folder.share_version(registry.model_name, version, bundle)
    limits_drop = registry.gates.max_post_processing_drop is not None
    with run.session():
        result = measure_model(run.evaluation_set, uri, fit=False, post_process=limits_drop)
    storage.remove_tree(uri)
    return Measurement.of(result)


def _slowdown(candidate: Path, champion: Path) -> float:
    """Return CPU seconds a face of the candidate's bundle over those of the champion's."""
    from dfray.evaluation.inference_cost import slowdown

    return slowdown(str(candidate), str(champion))
