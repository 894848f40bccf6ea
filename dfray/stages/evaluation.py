"""Evaluation of the run's model: decision rule, metrics and report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from dfray import storage
from dfray.checks import Subject, require_sound
from dfray.config import ModelSection
from dfray.dependencies import of_figures
from dfray.documents import read_json, validated
from dfray.errors import DfrayError, RegistryError, first_line
from dfray.models.bundle_description import read_recipe
from dfray.notes import note, warn
from dfray.progress import stage
from dfray.run_context import RunContext
from dfray.run_status import is_evaluated
from dfray.tables import SPLITS

if TYPE_CHECKING:
    from markupsafe import Markup

    from dfray.evaluation.measure import EvaluationResult
    from dfray.evaluation.metrics import Metrics
    from dfray.evaluation.mistakes import Explain

_HINT = "dfray writes this file. Change it back, or remove it, and the metrics are computed anew."


def evaluate(run: RunContext) -> Metrics:
    """Score the held-out split with the run's model, write the report and return the metrics.

    Threshold and temperature are fitted on validation first, where the recipe asks for it, and stored in the
    model's bundle, as is the video rule; those of an earlier evaluation are replaced. Metrics of the same
    evaluation are read.

    Raises:
        UserError: the run's model is not trained.
        CheckError: the evaluation would fail, as of videos without faces; nothing was started.
        LockedError: another command writes to the run's folder.
    """
    from dfray.evaluation.measure import measure_model
    from dfray.evaluation.metrics import Metrics
    from dfray.evaluation.names import views_name
    from dfray.evaluation.result_store import write_result

    run.require_model()
    if is_evaluated(run):
        metrics = read_json(run.folder.metrics, hint=_HINT, with_nan=True)
        return validated(Metrics, metrics, run.folder.metrics, hint=_HINT)
    require_sound(Subject.as_listed(run), "evaluate")
    run.faces.note_unchecked()
    if run.recipe.evaluation.views != ["whole"]:
        note(f"Views of a face: {views_name(run.recipe.evaluation.views)}.")
    with run.claimed(), run.session(), stage("evaluate") as line:
        result = measure_model(
            run.evaluation_set,
            run.folder.model,
            fit=True,
            post_process=True,
            on_step=lambda step: line.update(detail=step),
        )
        line.update(detail="metrics and report")
        write_result(run.folder.evaluation, result)
        _write_report(run, result)
        figures = dict(of_figures(run.recipe, run.manifest).values)
        measured = result.decision_rule.stored()
        run.folder.update_state(replace(run.folder.state(), measured=measured, figures=figures))
        line.finish(run.folder.report)
    _log_metrics(run, result.metrics)
    return result.metrics


def _log_metrics(run: RunContext, metrics: Metrics) -> None:
    """Log the metrics with the MLflow run of the training, if it is there; else registration does."""
    from dfray.evaluation.named_values import named_values
    from dfray.tracking.run import Run

    state = run.folder.state()
    if state.run_id is None or state.tracking_uri != run.tracking_place:
        return
    try:
        Run(run.tracking_uri, state.run_id).log_latest(named_values(metrics), metrics.split)
    except RegistryError as away:
        warn(f"{away} The metrics are in {run.folder.metrics}; `dfray register` logs them.")


def _write_report(run: RunContext, result: EvaluationResult) -> None:
    from dfray.evaluation.coverage import count_coverage
    from dfray.evaluation.mistakes import worst_mistakes
    from dfray.evaluation.report import write_report

    recipe, rule = run.recipe, result.decision_rule
    with _explaining(run.folder.model) as explain:
        worst = worst_mistakes(
            result.video_scores,
            run.faces,
            recipe.evaluation.split,
            8,
            threshold=rule.threshold,
            explain=explain,
        )
    write_report(
        run.folder.report,
        title=f"{recipe.name}: {recipe.description or recipe.model.backbone}",
        threshold_origin=rule.threshold_origin,
        recipe=recipe.model_dump(mode="json"),
        metrics=result.metrics,
        video_scores=result.video_scores,
        face_scores=result.face_scores,
        coverage=count_coverage(
            run.faces.summaries(), run.faces.outcomes(), run.faces.unextracted(SPLITS)
        ),
        worst=worst,
        drops=result.drops,
        audit=_audit(run, result),
        history=run.folder.state().history or [],
        provenance=_provenance(run, result),
    )


def _audit(run: RunContext, result: EvaluationResult) -> Markup:
    """Return the sections of the audit; files are not opened again, as their faces tell equal ones.

    An audit that fails, by whatever error, is told of and costs no evaluation.
    """
    from dfray.audit.page import audit_sections, failed_section
    from dfray.audit.run import audit_videos

    strata = result.metrics.strata
    try:
        audit = audit_videos(run.recipe, run.manifest, run.faces, strata, compare_files=False)
        return audit_sections(audit)
    except Exception as error:
        reason = first_line(error, with_type=not isinstance(error, DfrayError))
        warn(
            f"The audit failed: {reason}. The evaluation stands; `dfray audit` does the audit again."
        )
        return failed_section(reason)


def _provenance(run: RunContext, result: EvaluationResult) -> dict[str, str]:
    """Return the report's rows on the origin of model, faces and decision rule."""
    from dfray.evaluation.names import views_name
    from dfray.models.network import described

    rule = result.decision_rule
    network = ModelSection.model_validate(read_recipe(run.folder.model)["model"])
    return {
        "network": "; ".join(described(network)),
        "recipe fingerprint": run.recipe.fingerprint(),
        "faces fingerprint": run.faces.fingerprint(),
        "faces taken by version": str(run.faces.version),
        "evaluation set": result.evaluation_set_name,
        "threshold": f"{rule.threshold:.6g}, {rule.threshold_origin}",
        "temperature": f"{rule.temperature:.6g}",
        "views of a face": views_name(rule.views),
        "fitted on": rule.fitted_on or "nothing: both are the recipe's",
        "MLflow run": run.folder.state().run_id or "",
    }


@contextmanager
def _explaining(bundle_uri: str) -> Iterator[Explain]:
    """Saliency maps by the model, loaded on the driver's CPU for the few faces of the report."""
    from functools import partial

    from dfray.evaluation.saliency import saliency_maps
    from dfray.models.bundle import Bundle

    with storage.local_folder(bundle_uri) as folder:
        yield partial(saliency_maps, Bundle.load(folder))
