"""From a recipe and its search space to a candidate."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from dfray import storage
from dfray.config import Recipe
from dfray.datasets import manifest as manifests
from dfray.errors import SearchError
from dfray.faces.shards import FacesStore
from dfray.progress import StageLine, stage
from dfray.run_folder import RunFolder
from dfray.search.result import SearchResult, Trial
from dfray.session import nodes_of, require_cluster, require_cpus, session
from dfray.stages.data import count_done, extract, manifest_of
from dfray.stages.evaluation import decide, figures_of, score_split, videos_of
from dfray.stages.promotion import measured_of, told_of
from dfray.stages.training import tracking_uri

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.tune.search import Searcher

    from dfray.registry.measurements import Measured
    from dfray.search.concurrency import Capacity
    from dfray.search.folder import SearchFolder
    from dfray.search.result import Finalist
    from dfray.search.tracking import SearchRuns
    from dfray.search.trial import Job
    from dfray.serving.model_card import Told


def search(recipe: Recipe, *, resume: bool = False, verbose: bool = False) -> SearchResult:
    """Search the recipe's space, repeat the best with fresh seeds, and register the winner as `candidate`.

    Args:
        resume: go on with a search that was begun; without one it begins.

    Raises:
        RecipeError: the space has a key or a value that the recipe refuses.
        UserError: a search was begun here, and `resume` was not asked for.
        ResourceError: not even one trial fits on the cluster.
        SearchError: no trial reported the metric.
    """
    from dfray.search.folder import SearchFolder
    from dfray.search.space import require_space
    from dfray.tracking.client import connect

    require_space(recipe)
    folder = SearchFolder(recipe)
    if not storage.exists(folder.result):
        require_cluster(recipe.cluster)
    folder.run.claim()
    folder.require_free(resume=resume)
    if storage.exists(folder.result):
        return SearchResult.load(folder.result)
    connect(tracking_uri(recipe))  # before any compute is spent
    videos = manifest_of(recipe)
    if recipe.batches.self_blend is None:
        manifests.require_both_classes(videos, ("train", "val"))
    with session(recipe.cluster, verbose=verbose):
        if videos.num_rows > count_done(FacesStore(folder.run.faces), videos):
            extract(recipe, verbose=verbose)
        result = _search(folder, videos)
    result.save(folder.result)
    return result


def _search(folder: SearchFolder, videos: pa.Table) -> SearchResult:
    from dfray.search.concurrency import capacity
    from dfray.search.page import publish
    from dfray.search.space import distributions
    from dfray.search.tracking import SearchRuns
    from dfray.search.trial import Job

    recipe = folder.recipe.model_copy(update={"work_dir": folder.run.work_dir})
    _require_trainable(recipe, folder)
    _await_nodes(recipe)
    nodes = [node["Resources"] for node in nodes_of(recipe.cluster.train_on)]
    fits = capacity(recipe, nodes)
    print(f"Trials: {fits.arithmetic}.", file=sys.stderr)
    folder.begin()
    job = Job(recipe, folder.run.faces, folder.trials, use_gpu=fits.gpus > 0)
    fingerprint = manifests.fingerprint(videos)
    with SearchRuns(job, tracking_uri(recipe), folder.id, fingerprint) as runs:
        trials = _search_trials(job, fits, runs, folder)
        finalists = _repeat_best(job, fits, runs, folder, trials)
        result = _result(folder, runs, trials, finalists)
        result = replace(result, version=_register(result.winner, folder, recipe, runs))
        publish(runs.parent, result, distributions(recipe.search))
        return result


def _await_nodes(recipe: Recipe) -> None:
    """Where nodes come as work asks, wait for those of the trials that shall run beside each other."""
    cluster, trials = recipe.cluster, recipe.search.max_concurrent or 1
    if cluster.wait_s:
        each = recipe.search.trial_workers * recipe.training.cpus_per_worker
        plan, places = {"trials": trials * each}, {"trials": cluster.train_on}
        require_cpus(plan, places, wait_s=cluster.wait_s)


def _require_trainable(recipe: Recipe, folder: SearchFolder) -> None:
    """What every trial would refuse, or all of one choice, is refused before the first."""
    from dfray.search.space import choices, trial_recipe
    from dfray.training.launch import require_trainable, worker_config

    for parameters in ({}, *choices(recipe.search)):
        trial = trial_recipe(recipe, parameters)
        require_trainable(worker_config(trial, None, None, folder.run))


def _search_trials(job: Job, fits: Capacity, runs: SearchRuns, folder: SearchFolder) -> list[Trial]:
    """The trials of the search, all of them ended."""
    from dfray.search.suggest import StudySearch, trial_name

    section = job.recipe.search
    names = [trial_name(number) for number in range(section.trials)]
    if folder.finalists() is None:
        _run("search", job, StudySearch(job), names, fits, runs, halving=True)
    return [job.read(name) for name in names if job.folder(name).exists()]


def _repeat_best(
    job: Job, fits: Capacity, runs: SearchRuns, folder: SearchFolder, trials: list[Trial]
) -> list[Finalist]:
    """The best trials, chosen once, with their runs of fresh seeds; the best mean first."""
    from dfray.search.finalists import best_trials, plan_finalists, rank_finalists
    from dfray.search.suggest import PlannedSearch

    section = job.recipe.search
    if folder.finalists() is None:
        folder.choose_finalists([trial.id for trial in best_trials(trials, section)])
    by_id = {trial.id: trial for trial in trials}
    chosen = [by_id[name] for name in folder.finalists() or []]
    if not section.finalists:
        return rank_finalists(chosen, [], section)
    planned = plan_finalists(chosen, section)
    names = [trial.id for trial in planned]
    _run("finalists", job, PlannedSearch(job, planned), names, fits, runs, halving=False)
    return rank_finalists(chosen, [job.read(n) for n in names if job.folder(n).exists()], section)


def _run(
    title: str,
    job: Job,
    searcher: Searcher,
    names: list[str],
    fits: Capacity,
    runs: SearchRuns,
    *,
    halving: bool,
) -> None:
    """Run the trials of these names beneath a line that tells how far they are."""
    from dfray.search.tuner import run_trials

    with stage(title, len(names)) as line:
        seen: dict[str, Trial] = {}

        def follow(trial: Trial) -> None:
            seen[trial.id] = trial
            runs.tell(trial)
            _show(line, seen, job.recipe)

        def look(room: bool) -> None:
            if room:
                _show(line, seen, job.recipe)
            else:
                line.update(detail="waiting for nodes: no trial fits on those there are")

        run_trials(job, searcher, len(names), fits, halving=halving, on_trial=follow, on_nodes=look)
        line.finish(_told(list(seen.values()), job.recipe))


def _show(line: StageLine, seen: dict[str, Trial], recipe: Recipe) -> None:
    trials = list(seen.values())
    ended = sum(trial.state != "running" for trial in trials)
    line.update(done=ended, detail=f"{len(trials) - ended} running, {_told(trials, recipe)}")


def _told(trials: list[Trial], recipe: Recipe) -> str:
    """The best so far, and what did not go well."""
    section = recipe.search
    values = [trial.value for trial in trials if trial.value is not None]
    best = f"best {section.metric} {section.best(values):.4f}" if values else "no figure yet"
    counts = Counter(trial.state for trial in trials)
    others = [f"{counts[state]} {state}" for state in ("stopped", "failed") if counts[state]]
    return ", ".join([best, *others])


def _result(
    folder: SearchFolder, runs: SearchRuns, trials: list[Trial], finalists: list[Finalist]
) -> SearchResult:
    recipe = folder.recipe
    section, first = recipe.search, finalists[0]
    found = [run for run in first.runs if run.value is not None and run.state == "finished"]
    if section.finalists and not found:
        reasons = sorted({run.error or "no figure" for one in finalists for run in one.runs})
        raise SearchError(
            f"No run of a finalist ended well: {'; '.join(reasons)}.",
            "Mend that, and go on with --resume.",
        )
    by_id = {trial.id: trial for trial in trials}
    values = [run.value for run in found if run.value is not None]
    best = found[values.index(section.best(values))] if found else by_id[first.trial]
    return SearchResult(
        recipe_name=recipe.name,
        metric=section.figure,
        mode=section.mode,
        epochs=recipe.training.epochs,
        trials=[runs.tracked(trial) for trial in trials],
        finalists=[
            replace(one, runs=[runs.tracked(run) for run in one.runs])
            for one in finalists
            if section.finalists
        ],
        winner=runs.tracked(best),
        winning_trial=first.trial,
        parent_run_id=runs.parent.run_id,
        tracking_uri=runs.tracking_uri,
        version=None,
        folder=folder.root,
    )


def _register(winner: Trial, folder: SearchFolder, recipe: Recipe, runs: SearchRuns) -> str:
    """Measure the winner on the held-out split and register it, once; returns its version."""
    from dfray.registry.versions import Versions
    from dfray.serving.package import register

    assert winner.run_id is not None, "the search tracks every trial"
    versions = Versions(recipe.registry.model_name, runs.tracking_uri)
    origin = runs.origin(winner)
    there = versions.of_run(winner.run_id)
    if there is not None and origin.items() <= versions.get(there).tags.items():
        return there
    bundle = folder.trial(winner.id).model
    with stage("register") as line:
        line.update(detail=f"scoring the {recipe.evaluation.split} split with {winner.id}")
        measured, told = _measure(recipe, bundle)
        with storage.local_folder(bundle) as local:
            version = register(
                local,
                section=recipe.registry,
                tracking_uri=runs.tracking_uri,
                run_id=winner.run_id,
                figures=measured.figures,
                scores=measured.scores,
                told=told,
            )
        versions.tag(version, origin)  # the last word: a version without was cut off, and is left
        line.finish(f"{recipe.registry.model_name} version {version}")
    return str(version)


def _measure(recipe: Recipe, bundle: str) -> tuple[Measured, Told]:
    """What the registry keeps of a bundle: its figures on the held-out split, and what its card tells."""
    from dfray.evaluation.robustness import measure_losses
    from dfray.evaluation.summary import losses_to_markdown, to_markdown

    section = recipe.evaluation
    decision = decide(recipe, bundle)
    scores = score_split(recipe, bundle, section.split)
    by_video = videos_of(recipe, scores, section.split, decision.video_rule)
    losses = []
    if section.post_processing:
        losses = measure_losses(RunFolder(recipe).faces, bundle, by_video, section)
    measured = measured_of(recipe, scores, decision, losses)
    metrics = figures_of(recipe, scores, by_video, bundle)
    table = to_markdown(metrics) + losses_to_markdown(losses)
    return measured, told_of(recipe, measured, table)
