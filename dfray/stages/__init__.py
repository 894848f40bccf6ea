"""Stages of a run as functions of its context; `dfray …`, jobs/ and notebooks all call these.

    from dfray import stages
    from dfray.recipe import load_recipe
    from dfray.run_context import RunContext

    run = RunContext.of(load_recipe("demo", ["training.epochs=3"]))
    summaries = stages.extract(run)
    history = stages.train(run)

Each leaves its result in the run's folder and returns it. A stage whose result is stored returns it at
once, so a run that was cut off continues when it is started again.

A stage imports no other stage. `pipeline` does: it runs them in order, and builds the manifest and
extracts faces where training or a search needs them; and `reproduction`, which runs those for each row of a
paper. An import contract in pyproject.toml checks that.
"""

from dfray.run_manifest import build_manifest, check_manifest
from dfray.run_status import StageStatus
from dfray.stages.cluster_plan import plan_cluster
from dfray.stages.dry_run import TrainingPlan, plan_training
from dfray.stages.evaluation import evaluate
from dfray.stages.given_scores import GivenEvaluation, evaluate_scores
from dfray.stages.pipeline import RunResult, audit, extract, run_pipeline, search, status, train
from dfray.stages.promotion import promote, rollback
from dfray.stages.protocol_comparison import compare_models
from dfray.stages.published import ImportedVersion, import_detector
from dfray.stages.registration import register
from dfray.stages.registry import promotion_history, registered_versions, score
from dfray.stages.reproduction import (
    ReproductionPlan,
    ReproductionResult,
    plan_reproduction,
    reproduce,
)
from dfray.stages.runs import clean, compare_runs, list_runs
from dfray.stages.self_blend import self_blend

__all__ = [
    "GivenEvaluation",
    "ImportedVersion",
    "ReproductionPlan",
    "ReproductionResult",
    "RunResult",
    "StageStatus",
    "TrainingPlan",
    "audit",
    "build_manifest",
    "check_manifest",
    "clean",
    "compare_models",
    "compare_runs",
    "evaluate",
    "evaluate_scores",
    "extract",
    "import_detector",
    "list_runs",
    "plan_cluster",
    "plan_reproduction",
    "plan_training",
    "promote",
    "promotion_history",
    "register",
    "registered_versions",
    "reproduce",
    "rollback",
    "run_pipeline",
    "score",
    "search",
    "self_blend",
    "status",
    "train",
]
