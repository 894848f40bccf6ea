"""Registration of the run's evaluated model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dfray import storage
from dfray.errors import UserError
from dfray.models.bundle_description import DecisionRule, read_decision_rule
from dfray.progress import stage
from dfray.run_context import RunContext

if TYPE_CHECKING:
    from dfray.tracking.run import Run


def register(run: RunContext) -> str:
    """Register the run's model as `candidate`, once for each decision rule; return its version.

    Raises:
        UserError: the run was made with another recipe, or not yet evaluated as this one asks.
    """
    run.folder.require("evaluation/metrics.json", "evaluate")
    trained_by = run.folder.claim_to_measure()
    from dfray.evaluation.result_store import read_metrics_table, read_result
    from dfray.serving.registration import register_model

    rule, state = _evaluated_rule(run), run.folder.state()
    if state.version is not None and state.registered == rule.stored():
        return state.version
    tracked = RunContext.of(trained_by).tracking_run()
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
    state = replace(run.folder.state(), version=version, registered=rule.stored())
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
    if rule.decision_criteria != criteria or evaluated != rule.stored():
        raise UserError(
            f"{run.folder.model} was not yet evaluated for {criteria}: its metrics are of {evaluated}.",
            "Run `dfray evaluate` with this recipe first.",
        )
    return rule
