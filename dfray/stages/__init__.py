"""Every stage as one function of a recipe; `dfray …`, jobs/ and notebooks all call these.

Each leaves its result in the run's folder and returns it. A stage whose result is there already returns
it at once, so that a road that was cut off is walked on by calling `run` again.

    from dfray.recipe import load_recipe
    from dfray import stages

    recipe = load_recipe("demo", ["training.epochs=3"])
    summaries = stages.extract(recipe)
    history = stages.train(recipe)
"""

from dfray.stages.cluster_plan import plan_cluster
from dfray.stages.comparison import compare
from dfray.stages.data import build, check_manifest, extract
from dfray.stages.dry_run import TrainingPlan, plan_training
from dfray.stages.evaluation import evaluate
from dfray.stages.pipeline import RunResult, run
from dfray.stages.promotion import promote, register, rollback
from dfray.stages.registry import history, score, show
from dfray.stages.search import search
from dfray.stages.self_blend import self_blend
from dfray.stages.training import train

__all__ = [
    "RunResult",
    "TrainingPlan",
    "build",
    "check_manifest",
    "compare",
    "evaluate",
    "extract",
    "history",
    "plan_cluster",
    "plan_training",
    "promote",
    "register",
    "rollback",
    "run",
    "score",
    "search",
    "self_blend",
    "show",
    "train",
]
