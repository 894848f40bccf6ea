"""Benefit of a search: its winner against w = 0 and the recipe's setting, on people it never used.

    python -m tests.benchmarks.bench_search [--work FOLDER] [KEY=VALUE]...

On the demo's clips, one worker a trial, two trials at once, some 150 epochs of 19 steps in all:

1. `dfray search` of 12 trials over w (log-uniform) and m, by ASHA on the validation's AUC;
2. the trials that ASHA stopped continue from their checkpoints to the end: this shows the loss by early
   stopping, before the finalists are trained again and after;
3. the winner's setting, w = 0 and the recipe's own are trained with fresh seeds and scored on the test split,
   whose people are in neither training nor validation. Differences come with intervals from a bootstrap
   over videos and seeds, whatever they are.

With --work an interrupted benchmark continues; overrides are applied on top of its recipe. Exit code 1
if ASHA took half of all epochs or more.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dfray import stages
from dfray.config import Recipe
from dfray.progress import stage
from dfray.recipe import load_recipe
from dfray.run_context import RunContext
from dfray.search.concurrency import TrialCapacity, trial_capacity
from dfray.search.result import SearchResult, Trial, Value, epochs_taken, ranked, value_of
from dfray.search.suggest import PlannedSearch, PlannedTrial
from dfray.search.trial import TrialSettings
from dfray.search.tuner import run_trials
from dfray.session import nodes_of, session
from tests.benchmarks.measure import holds
from tests.benchmarks.retrained import Difference, difference, retrained

W, M = "objective.triplet.weight", "objective.triplet.margin"
SEEDS = (101, 102, 103)
"""The search trains with 7, and its finalists with 8 and 9."""


def benchmark_recipe(work: Path, overrides: Sequence[str]) -> Recipe:
    return load_recipe(
        "demo",
        [
            "name=search-benchmark",
            f"work_dir={work}",
            "batches.stream_first_epoch=false",
            "model.size_px=64",  # a third of the work of the demo's 112
            "training.epochs=6",
            "search.trials=12",
            "search.finalists=2",
            "search.seeds=2",
            "search.max_concurrent=2",
            f"registry.tracking_uri=sqlite:///{work}/mlflow.db",
            *overrides,
        ],
    )


def to_the_end(recipe: Recipe, result: SearchResult) -> list[Trial]:
    """The search's trials as if nothing had stopped them; copies go on where the stopped ones were."""
    copies = _trial_settings(recipe, "to-the-end")
    stopped = [trial for trial in result.trials if trial.state == "stopped"]
    for trial in stopped:
        copy = Path(copies.trials, trial.id)
        if not copy.exists():
            half = copy.with_name(f"{trial.id}.half")
            shutil.rmtree(half, ignore_errors=True)
            shutil.copytree(trial.folder, half, ignore=shutil.ignore_patterns("end.json"))
            half.rename(copy)
    _train(
        copies, [PlannedTrial(t.id, t.number, t.parameters, t.seed) for t in stopped], "to the end"
    )
    full_trials = {trial.id: copies.read(trial.id) for trial in stopped}
    return [full_trials.get(trial.id, trial) for trial in result.trials]


def parameters_of(recipe: Recipe, result: SearchResult) -> dict[str, dict[str, Value]]:
    """name -> parameters, of what is trained again."""
    triplet = recipe.objective.triplet
    assert triplet is not None, "the demo has a triplet loss"
    recipe_parameters: dict[str, Value] = {W: triplet.weight, M: triplet.margin}
    return {
        "winner": result.winner.parameters,
        "w = 0": recipe_parameters | {W: 0.0},
        "recipe's own": recipe_parameters,
    }


def train_again(
    recipe: Recipe, parameters: Mapping[str, Mapping[str, Value]]
) -> dict[str, list[Trial]]:
    """name -> a finished training for each of SEEDS, seed after seed."""
    settings = _trial_settings(recipe, "again")
    ids = {
        (name, seed): f"{place}-{seed}" for seed in SEEDS for place, name in enumerate(parameters)
    }
    planned = [
        PlannedTrial(ids[name, seed], number, dict(parameters[name]), seed)
        for number, (name, seed) in enumerate(ids)
    ]
    _train(settings, planned, "again")
    return {name: [settings.read(ids[name, seed]) for seed in SEEDS] for name in parameters}


def scores_on_test(recipe: Recipe, trial: Trial) -> pa.Table:
    """VIDEO_SCORES of the test split by the trial's model; stored in its folder."""
    path = Path(trial.folder, "test_scores.parquet")
    if not path.exists():
        evaluation_set = RunContext.of(recipe).evaluation_set
        scores = evaluation_set.score(f"{trial.folder}/model", "test")
        half = path.with_suffix(".half")
        pq.write_table(evaluation_set.video_scores(scores, "test", "mean"), half)
        half.rename(path)
    return pq.read_table(path)


def _trial_settings(recipe: Recipe, name: str) -> TrialSettings:
    folder = RunContext.of(recipe).folder
    absolute = recipe.model_copy(update={"work_dir": folder.work_dir})
    use_gpu = _fits(recipe).gpus > 0
    return TrialSettings(absolute, folder, f"{folder.root}/{name}", use_gpu=use_gpu)


def _fits(recipe: Recipe) -> TrialCapacity:
    return trial_capacity(recipe, [node["Resources"] for node in nodes_of(recipe.cluster.train_on)])


def _train(settings: TrialSettings, planned: Sequence[PlannedTrial], title: str) -> None:
    left = [planned_trial for planned_trial in planned if not _ended(settings, planned_trial.id)]
    if not left:
        return
    with stage(title, len(left) * settings.recipe.training.epochs) as line:
        epochs: dict[str, int] = {}

        def show(trial: Trial) -> None:
            epochs[trial.id] = trial.epochs
            line.update(done=sum(epochs.values()), detail=f"{trial.id}: {trial.value or 0:.3f}")

        run_trials(
            settings,
            PlannedSearch(settings, left),
            len(left),
            _fits(settings.recipe),
            halving=False,
            on_trial=show,
            on_nodes=lambda room: None,
        )
        line.finish()
    failed = [
        settings.read(planned_trial.id)
        for planned_trial in left
        if not _ended(settings, planned_trial.id)
    ]
    if failed:
        raise SystemExit(f"{failed[0].id} did not finish: {failed[0].error}")


def _ended(settings: TrialSettings, name: str) -> bool:
    return settings.folder(name).exists() and settings.read(name).state == "finished"


def report_stopping(
    recipe: Recipe, result: SearchResult, full_trials: Sequence[Trial]
) -> tuple[bool, dict[str, Any]]:
    """Print what ASHA saved and gave up; return if it took under half of all epochs, and the metrics."""
    best = max((trial for trial in full_trials if trial.value is not None), key=value_of)
    asha_epochs, of_all = epochs_taken(result), result.epochs * len(result.trials)
    once_more = sum(run.epochs for finalist in result.finalists for run in finalist.runs)
    rows = {
        "all to the end": (of_all, best),
        "ASHA": (asha_epochs, ranked(result)[0]),
        "and its finalists": (asha_epochs + once_more, result.winner),
    }
    print(f"\n{'':<18}{'epochs':>7}  {'best run':<18}{'val AUC':>8}{'test AUC':>10}")
    scored = {name: retrained(name, [scores_on_test(recipe, row[1])]) for name, row in rows.items()}
    for name, (epochs, run) in rows.items():
        aucs = f"{value_of(run):>8.4f}{scored[name].mean:>10.4f}"
        print(f"{name:<18}{epochs:>7}  {run.id:<18}{aucs}")
    given_up = {}
    for name in ("ASHA", "and its finalists"):
        of_val = value_of(best) - value_of(rows[name][1])
        of_test = difference(scored["all to the end"], scored[name])
        print(
            f"given up, {name}: {of_val:.4f} of validation AUC; of test AUC {_formatted(of_test)}"
        )
        given_up[name] = {"val_auc": of_val, "test_auc": asdict(of_test)}
    is_met = holds("epochs of ASHA / of all", asha_epochs / of_all, at_most=0.499)
    return is_met, {"epochs": asha_epochs, "epochs_of_all": of_all, "given_up": given_up}


def report_settings(recipe: Recipe, again: Mapping[str, Sequence[Trial]]) -> dict[str, Any]:
    """Print each setting's metrics on the test split, and the differences."""
    settings = {
        name: retrained(name, [scores_on_test(recipe, trial) for trial in trials])
        for name, trials in again.items()
    }
    seeds = "".join(f"{f'seed {seed}':>10}" for seed in SEEDS)
    print(f"\ntest AUC, {settings['winner'].videos}\n{'':<16}{seeds}{'mean':>10}{'std. dev.':>11}")
    for name, of_name in settings.items():
        each = "".join(f"{auc:>10.4f}" for auc in of_name.aucs)
        parameters = " ".join(
            f"{k.split('.')[-1]}={v:.3g}" for k, v in again[name][0].parameters.items()
        )
        print(f"{name:<16}{each}{of_name.mean:>10.4f}{of_name.spread:>11.4f}   {parameters}")
    pairs = [("winner", "w = 0"), ("winner", "recipe's own"), ("recipe's own", "w = 0")]
    differences = {f"{a} - {b}": difference(settings[a], settings[b]) for a, b in pairs}
    print("\ndifference of test AUC [95 % over videos and seeds]")
    for name, gap in differences.items():
        print(f"{name:<24}{_formatted(gap)}")
    return {
        "aucs": {name: of_name.aucs for name, of_name in settings.items()},
        "differences": {name: asdict(gap) for name, gap in differences.items()},
    }


def _formatted(gap: Difference) -> str:
    sure = "" if gap.low > 0 or gap.high < 0 else "  (the interval holds 0: no difference was seen)"
    return f"{gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]{sure}"


def run(recipe: Recipe) -> bool:
    with session(recipe.cluster):
        result = stages.search(RunContext.of(recipe), resume=True)
        full_trials = to_the_end(recipe, result)
        again = train_again(recipe, parameters_of(recipe, result))
        is_met, stopping = report_stopping(recipe, result, full_trials)
        settings = report_settings(recipe, again)
    figures = {"load": os.getloadavg(), "stopping": stopping, "settings": settings}
    written = Path(RunContext.of(recipe).folder.root, "benchmark.json")
    written.write_text(json.dumps(figures, indent=2))
    print(f"\nWritten: {written}")
    return is_met


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work", type=Path, help="folder to keep and to continue from; default: a temporary one"
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="dfray-bench-") as scratch:
        work = (options.work or Path(scratch)).absolute()
        is_met = run(benchmark_recipe(work, options.overrides))
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
