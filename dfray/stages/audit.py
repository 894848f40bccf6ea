"""Audit of a run: its videos, their stored faces, and its last evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfray import storage
from dfray.documents import read_json, validated
from dfray.progress import stage
from dfray.run_context import RunContext

if TYPE_CHECKING:
    from dfray.audit.result import Audit
    from dfray.evaluation.strata import StratifiedAuc


def audit_run(run: RunContext) -> Audit:
    """Audit the videos of the run's manifest, write audit.json and audit.html, and return the result."""
    from dfray.audit.page import write_page
    from dfray.audit.run import audit_videos

    recipe, place = run.recipe, run.folder.audit
    with stage("audit", total=1) as line:
        audit = audit_videos(recipe, run.manifest, run.faces, _strata(run))
        storage.write_bytes(audit.to_json(), storage.join(place, "audit.json"))
        page = storage.join(place, "audit.html")
        write_page(page, f"{recipe.name}: {recipe.description or recipe.model.backbone}", audit)
        line.finish(page)
    return audit


def _strata(run: RunContext) -> list[StratifiedAuc]:
    """Return the stratified AUCs of the run's last evaluation; none before it."""
    from dfray.evaluation.metrics import Metrics

    uri = run.folder.metrics
    if not storage.exists(uri):
        return []
    return validated(Metrics, read_json(uri, with_nan=True), uri).strata
