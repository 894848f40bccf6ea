"""Search over a recipe's space, from the first trial to a registered candidate."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dfray import storage
from dfray.command_log import log_to
from dfray.config import Recipe, SearchSection
from dfray.datasets.manifest import Manifest, fingerprint, write_manifest
from dfray.errors import SearchError
from dfray.evaluation.copies import Copies
from dfray.notes import note
from dfray.progress import StageLine, stage
from dfray.run_context import RunContext
from dfray.run_folder import RunFolder
from dfray.search.result import Finalist, SearchResult, Trial, ValidationVideos
from dfray.session import nodes_of, ray_nodes, require_resources
from dfray.tables import FAKE, REAL
from dfray.text import mask
from dfray.training.needs import training_needs

if TYPE_CHECKING:
    from ray.tune.search import Searcher

    from dfray.search.concurrency import TrialCapacity
    from dfray.search.folder import SearchFolder
    from dfray.search.tracking import SearchRuns
    from dfray.search.trial import TrialSettings


def run_search(run: RunContext, folder: SearchFolder) -> SearchResult:
    """Train the trials, repeat the best with fresh seeds, and register the winner as `candidate`.

    Needs a connected Ray and the faces of every video.

    Raises:
        ResourceError: not even one trial fits on the cluster.
        LockedError: another command has begun this search meanwhile.
        SearchError: no trial reported the metric.
    """
    from dfray.search.concurrency import trial_capacity

    recipe = run.recipe.model_copy(update={"work_dir": run.folder.work_dir})
    _require_trainable(run)
    _await_nodes(recipe)
    nodes = [node["Resources"] for node in nodes_of(recipe.cluster.train_on)]
    capacity = trial_capacity(recipe, nodes)
    note(f"Trials: {capacity.arithmetic}.")
    with storage.locked(folder.root, f"{recipe.name}/search"):
        log_to(folder.root)
        return _search(run, recipe, folder, capacity)


def _search(
    run: RunContext, recipe: Recipe, folder: SearchFolder, capacity: TrialCapacity
) -> SearchResult:
    from dfray.search.page import publish
    from dfray.search.space import distributions
    from dfray.search.tracking import SearchRuns
    from dfray.search.trial import TrialSettings

    if not folder.has_begun:
        write_manifest(Manifest(run.manifest), folder.manifest)
    folder.begin()
    source = RunFolder(recipe, faces=run.folder.faces, manifest=folder.manifest)
    settings = TrialSettings(recipe, source, folder.trials, use_gpu=capacity.gpus > 0)
    manifest = fingerprint(run.manifest)
    with SearchRuns(
        settings, run.tracking_uri, folder.id, folder.root, manifest, run.manifest
    ) as runs:
        search = _Search(folder, settings, capacity, runs)
        trials = search.run_trials()
        finalists = search.repeat_best(trials)
        result = search.result(trials, finalists)
        version = _register(run, folder, runs, result.winner)
        result = replace(result, version=version, validation=_validation_videos(run))
        publish(runs.parent, result, distributions(recipe.search))
    result.save(folder.result)
    return result


def _validation_videos(run: RunContext) -> ValidationVideos:
    """Return the counts of the videos that the trials are compared by."""
    videos = Copies.without(run.faces.summaries(["val"]))
    labels = Counter(videos["label"].to_pylist())
    datasets = set(videos["dataset"].to_pylist())
    return ValidationVideos(labels[REAL], labels[FAKE], len(datasets))


def _await_nodes(recipe: Recipe) -> None:
    """Wait for the nodes of all concurrent trials, if an autoscaler may start some."""
    cluster, trials = recipe.cluster, recipe.search.max_concurrent or 1
    if cluster.wait_s:
        needs = training_needs(recipe, ray_nodes(), workers=trials * recipe.search.trial_workers)
        require_resources(needs, wait_s=cluster.wait_s)


def _require_trainable(run: RunContext) -> None:
    """Check the network and sample of the recipe and of each choice, before the first trial.

    Raises:
        ManifestError, RecipeError, ModelFileError: as `train_detector`.
    """
    from dfray.search.space import choices, trial_recipe
    from dfray.training.launch import check_worker_config, worker_config

    for parameters in ({}, *choices(run.recipe.search)):
        recipe = trial_recipe(run.recipe, parameters)
        source = RunFolder(recipe, faces=run.folder.faces, manifest=run.folder.manifest)
        check_worker_config(worker_config(recipe, source))


@dataclass(frozen=True)
class _Search:
    """Folder, settings and MLflow runs of one running search."""

    folder: SearchFolder
    settings: TrialSettings
    capacity: TrialCapacity
    runs: SearchRuns

    @property
    def section(self) -> SearchSection:
        """Settings of the search."""
        return self.settings.recipe.search

    def run_trials(self) -> list[Trial]:
        """Run the trials of the search, unless its finalists are chosen; return those that started."""
        from dfray.search.suggest import StudySearch, trial_name

        names = [trial_name(number) for number in range(self.section.trials)]
        if self.folder.finalists() is None:
            self._run("search", StudySearch(self.settings), names, halving=True)
        return self._started(names)

    def repeat_best(self, trials: list[Trial]) -> list[Finalist]:
        """Repeat the best trials, chosen once, with fresh seeds; return them, the best mean first."""
        from dfray.search.finalists import best_trials, plan_finalists, rank_finalists
        from dfray.search.suggest import PlannedSearch

        if self.folder.finalists() is None:
            self.folder.choose_finalists([trial.id for trial in best_trials(trials, self.section)])
        by_id = {trial.id: trial for trial in trials}
        best = [by_id[name] for name in self.folder.finalists() or []]
        if not self.section.finalists:
            return rank_finalists(best, [], self.section)
        planned = plan_finalists(best, self.section)
        names = [trial.id for trial in planned]
        self._run("finalists", PlannedSearch(self.settings, planned), names, halving=False)
        return rank_finalists(best, self._started(names), self.section)

    def result(self, trials: list[Trial], finalists: list[Finalist]) -> SearchResult:
        """Return the search's result, with the MLflow run of each trial and without a version.

        Raises:
            SearchError: every run of the best finalist failed.
        """
        section, recipe = self.section, self.settings.recipe
        winner = _winner(trials, finalists, section)
        repeated = [
            replace(finalist, runs=[self.runs.tracked(trial) for trial in finalist.runs])
            for finalist in finalists
            if section.finalists
        ]
        return SearchResult(
            recipe_name=recipe.name,
            metric=section.metric_key,
            mode=section.mode,
            epochs=recipe.training.epochs,
            trials=[self.runs.tracked(trial) for trial in trials],
            finalists=repeated,
            winner=self.runs.tracked(winner),
            winning_trial=finalists[0].trial,
            parent_run_id=self.runs.parent.run_id,
            tracking_uri=mask(self.runs.tracking_uri),
            version=None,
            folder=self.folder.root,
        )

    def _run(self, title: str, searcher: Searcher, names: list[str], *, halving: bool) -> None:
        """Run the trials of these names, and draw their progress."""
        from dfray.search.tuner import run_trials

        with stage(title, len(names)) as line:
            search_line = SearchLine(line, self.runs, self.section)
            run_trials(
                self.settings,
                searcher,
                len(names),
                self.capacity,
                halving=halving,
                on_trial=search_line.update,
                on_nodes=search_line.update_nodes,
            )
            line.finish(search_line.summary())

    def _started(self, names: list[str]) -> list[Trial]:
        settings = self.settings
        return [settings.read(name) for name in names if settings.folder(name).exists()]


class SearchLine:
    """Progress line of a search's trials; passes each trial on to its MLflow run."""

    def __init__(self, line: StageLine, runs: SearchRuns, section: SearchSection) -> None:
        self._line, self._runs, self._section = line, runs, section
        self._trials: dict[str, Trial] = {}

    def update(self, trial: Trial) -> None:
        """Draw and log a trial that has started, ended an epoch, or ended."""
        self._trials[trial.id] = trial
        self._runs.notify(trial)
        self._draw()

    def update_nodes(self, has_room: bool) -> None:
        """Draw whether a trial fits on the nodes that are alive."""
        if has_room:
            self._draw()
        else:
            self._line.update(detail="waiting for nodes: no trial fits on the nodes that are alive")

    def summary(self) -> str:
        """Return the best value so far, and the counts of stopped and failed trials."""
        section, trials = self._section, self._trials.values()
        values = [trial.value for trial in trials if trial.value is not None]
        best = f"best {section.metric} {section.best(values):.4f}" if values else "no value yet"
        counts = Counter(trial.state for trial in trials)
        ended = [f"{counts[state]} {state}" for state in ("stopped", "failed") if counts[state]]
        return ", ".join([best, *ended])

    def _draw(self) -> None:
        running = sum(trial.state == "running" for trial in self._trials.values())
        ended = len(self._trials) - running
        self._line.update(done=ended, detail=f"{running} running, {self.summary()}")


def _winner(trials: list[Trial], finalists: list[Finalist], section: SearchSection) -> Trial:
    """Return the best run of the best finalist, or its trial if no trial is repeated.

    Raises:
        SearchError: every run of the best finalist failed.
    """
    best = finalists[0]
    values = {
        run.id: run.value for run in best.runs if run.value is not None and run.state == "finished"
    }
    if values:
        value = section.best(list(values.values()))
        return next(run for run in best.runs if values.get(run.id) == value)
    if not section.finalists:
        return next(trial for trial in trials if trial.id == best.trial)
    reasons = sorted({run.error or "no value" for finalist in finalists for run in finalist.runs})
    raise SearchError(
        f"No run of a finalist ended well: {'; '.join(reasons)}.",
        "Remove the cause, and continue with --resume.",
    )


def _register(run: RunContext, folder: SearchFolder, runs: SearchRuns, winner: Trial) -> str:
    """Measure the winner on the held-out split and register it, once; return its version."""
    from dfray.evaluation.measure import measure_model
    from dfray.evaluation.summary import metrics_table
    from dfray.registry.versions import Versions
    from dfray.serving.registration import register_model

    assert winner.run_id is not None, "the search tracks every trial"
    versions = Versions(run.recipe.registry.model_name, runs.tracking_uri)
    origin = runs.origin(winner)
    registered = versions.of_run(winner.run_id, origin)
    if registered is not None:
        return str(registered.version)
    bundle_uri = folder.trial(winner.id).model
    with stage("register") as line:
        split = run.recipe.evaluation.split
        line.update(detail=f"scoring the {split} split with {winner.id}")
        result = measure_model(run.evaluation_set, bundle_uri, fit=True, post_process=True)
        version = register_model(
            run,
            bundle_uri,
            result,
            run_id=winner.run_id,
            registration=folder.id,
            metrics_table=metrics_table(result.metrics, result.drops),
        )
        versions.tag(version, origin)  # last: a version without these tags was cut off
        line.finish(f"{run.recipe.registry.model_name} version {version}")
    return version
