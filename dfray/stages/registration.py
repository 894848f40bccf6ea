"""Registration of the run's evaluated model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dfray import storage
from dfray.errors import UserError
from dfray.models.bundle_description import DecisionRule, read_decision_rule
from dfray.progress import stage
from dfray.run_context import RunContext
from dfray.run_status import is_evaluated, registration_of

if TYPE_CHECKING:
    from dfray.tracking.run import Run


def register(run: RunContext) -> str:
    """Register the run's model as `candidate`, once for its figures and its name; return its version.

    Raises:
        UserError: the run's model is not trained, or not yet evaluated as the recipe asks.
        LockedError: another command writes to the run's folder.
    """
    run.require_model()
    run.folder.require("evaluation/metrics.json", "evaluate")
    rule, state = _evaluated_rule(run), run.folder.state()
    if state.version is not None and state.registered == dict(registration_of(run).values):
        return state.version
    with run.locked():
        return _register(run, rule)


def _register(run: RunContext, rule: DecisionRule) -> str:
    from dfray.evaluation.result_store import read_metrics_table, read_result
    from dfray.serving.registration import register_model

    registered = dict(registration_of(run).values)
    tracked = run.tracking_run()
    with stage("register") as line:
        _log_evaluation(run, tracked)
        version = register_model(
            run,
            run.folder.model,
            read_result(run.folder.evaluation, run.evaluation_set, rule),
            run_id=tracked.run_id,
            metrics_table=read_metrics_table(run.folder.evaluation),
        )
        tracked.finish()
        line.finish(f"{run.recipe.registry.model_name} version {version}")
    state = replace(run.folder.state(), version=version, registered=registered)
    run.folder.update_state(state)
    return version


def _log_evaluation(run: RunContext, tracked: Run) -> None:
    """Log the report and the metrics with the MLflow run."""
    with (
        storage.local_copy(run.folder.report) as report,
        storage.local_copy(run.folder.metrics) as metrics,
    ):
        tracked.log_files([report, metrics], "evaluation")


def _evaluated_rule(run: RunContext) -> DecisionRule:
    """Return the decision rule that the run's model was evaluated with, and that the recipe asks for.

    Raises:
        UserError: the stored metrics are of another rule.
    """

    rule = read_decision_rule(run.folder.model)
    criteria, evaluated = (
        run.recipe.evaluation.decision_criteria,
        run.folder.state().measured,
    )
    if not is_evaluated(run):
        raise UserError(
            f"{run.folder.model} was not yet evaluated for {criteria}: its metrics are of {evaluated}.",
            "Run `dfray evaluate` with this recipe first.",
        )
    return rule
