"""Registration of the run's evaluated model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dfray import storage
from dfray.checks import Subject, require_sound
from dfray.models.bundle_description import read_decision_rule
from dfray.progress import stage
from dfray.run_context import RunContext
from dfray.run_status import registration_of

if TYPE_CHECKING:
    from dfray.tracking.run import Run


def register(run: RunContext) -> str:
    """Register the run's model as `candidate`, once for its figures and its name; return its version.

    Raises:
        CheckError: the registration would fail, as of a model that is not yet evaluated as the recipe asks.
        LockedError: another command writes to the run's folder.
    """
    require_sound(Subject.as_listed(run), "register")
    state = run.folder.state()
    if state.version is not None and state.registered == dict(registration_of(run).values):
        return state.version
    with run.locked():
        return _register(run)


def _register(run: RunContext) -> str:
    from dfray.evaluation.result_store import read_metrics_table, read_result
    from dfray.serving.registration import register_model

    registration = registration_of(run)
    with run.tracking_run() as tracked, stage("register") as line:
        _log_evaluation(run, tracked)
        version = register_model(
            run,
            run.folder.model,
            read_result(
                run.folder.evaluation, run.evaluation_set, read_decision_rule(run.folder.model)
            ),
            run_id=tracked.run_id,
            registration=registration.key,
            metrics_table=read_metrics_table(run.folder.evaluation),
        )
        line.finish(f"{run.recipe.registry.model_name} version {version}")
    state = replace(run.folder.state(), version=version, registered=dict(registration.values))
    run.folder.update_state(state)
    return version


def _log_evaluation(run: RunContext, tracked: Run) -> None:
    """Log the report and the metrics with the MLflow run."""
    with (
        storage.local_copy(run.folder.report) as report,
        storage.local_copy(run.folder.metrics) as metrics,
    ):
        tracked.log_files([report, metrics], "evaluation")
