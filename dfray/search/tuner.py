"""Trials through Ray Tune: as many at once as fit, the worse ones stopped early, lost ones retried.

Tune writes its own record of an experiment every few seconds and not atomically, so a search that is
killed would lose trials or fail to load. That record goes to a temporary folder; the trials' folders count.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper

from dfray import storage
from dfray.config import Recipe
from dfray.errors import ResourceError
from dfray.search.concurrency import TrialCapacity, trial_capacity
from dfray.search.result import Trial
from dfray.search.trial import TrialSettings, run_trial, trial_id_of
from dfray.session import nodes_of

_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",  # it prints a box at any verbosity
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no files but the trials' own
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # it would end the search as finished
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
}

_MAX_FAILED = 3
"""Failed trials, without one epoch reported, after which no further trial is started."""

_CHECK_NODES_EVERY_S = 5.0

OnTrial = Callable[[Trial], None]
"""Called with a trial that has started, reported an epoch, or ended."""
OnNodes = Callable[[bool], None]
"""Called every few seconds; True: a trial fits on the nodes that are alive."""


def run_trials(
    settings: TrialSettings,
    searcher: Searcher,
    count: int,
    capacity: TrialCapacity,
    *,
    halving: bool,
    on_trial: OnTrial,
    on_nodes: OnNodes,
) -> None:
    """Run the `count` trials that `searcher` suggests; each one's folder holds how it ended.

    Args:
        halving: stop the worse ones early, if the recipe's scheduler does.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    section, training = settings.recipe.search, settings.recipe.training
    trainable: Any = tune.with_parameters(run_trial, settings=settings)
    callback = TrialCallback(settings, on_trial, on_nodes)
    with storage.temporary_folder() as scratch:
        tune.Tuner(
            tune.with_resources(trainable, capacity.trial_resources),
            tune_config=tune.TuneConfig(
                metric=section.metric_key,
                mode=section.mode,
                search_alg=searcher,
                scheduler=_scheduler(settings.recipe) if halving else FIFOScheduler(),
                num_samples=count,
                max_concurrent_trials=capacity.concurrent,
                reuse_actors=capacity.in_process,  # a Ray Train run does not end in time
            ),
            run_config=tune.RunConfig(
                name="trials",
                storage_path=scratch,
                failure_config=tune.FailureConfig(max_failures=training.max_failures),
                callbacks=[callback],
                stop=StopIfAllFail(callback),
                verbose=0,
            ),
        ).fit()


class TrialCallback(tune.Callback):
    """Tune callback that writes how each trial ended and notifies of its state."""

    def __init__(self, settings: TrialSettings, on_trial: OnTrial, on_nodes: OnNodes) -> None:
        self.settings, self.on_trial, self.on_nodes = settings, on_trial, on_nodes
        self.failed, self.has_epochs = 0, False
        self._checked_s = time.monotonic()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles it to restore an experiment, which dfray never does

    def on_step_begin(self, **_: Any) -> None:
        if time.monotonic() - self._checked_s > _CHECK_NODES_EVERY_S:
            self._checked_s = time.monotonic()
            self.on_nodes(_fits_anywhere(self.settings.recipe))

    def on_trial_start(self, *, trial: Any, **_: Any) -> None:
        self._notify(trial)

    def on_trial_result(self, *, trial: Any, **_: Any) -> None:
        self.has_epochs = True
        self._notify(trial)

    def on_trial_complete(self, *, trial: Any, **_: Any) -> None:
        name = trial_id_of(trial.config)
        stored = self.settings.read(name)
        if stored.epochs and stored.state not in ("finished", "stopped"):
            is_complete = stored.epochs >= self.settings.recipe.training.epochs
            self.settings.folder(name).end("finished" if is_complete else "stopped")
        self._notify(trial)

    def on_trial_error(self, *, trial: Any, **_: Any) -> None:
        self.failed += 1
        name = trial_id_of(trial.config)
        if self.settings.read(name).state != "failed":
            reason = (
                "Its process died on every attempt: killed, out of memory, or its node was lost."
            )
            self.settings.folder(name).end("failed", reason)
        self._notify(trial)

    def _notify(self, trial: Any) -> None:
        self.on_trial(self.settings.read(trial_id_of(trial.config)))


class StopIfAllFail(Stopper):
    """Stopper of a search whose first trials have all failed, as the next ones would fail, too."""

    def __init__(self, callback: TrialCallback) -> None:
        self._callback = callback

    def __call__(self, *_: Any) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._callback.failed >= _MAX_FAILED and not self._callback.has_epochs


def _fits_anywhere(recipe: Recipe) -> bool:
    """Return whether a trial fits on the nodes that are alive."""
    try:
        trial_capacity(recipe, [node["Resources"] for node in nodes_of(recipe.cluster.train_on)])
    except ResourceError:
        return False
    return True


def _scheduler(recipe: Recipe) -> TrialScheduler:
    section = recipe.search
    if section.scheduler == "none":
        return FIFOScheduler()
    return ASHAScheduler(
        time_attr="epochs",
        max_t=recipe.training.epochs,
        grace_period=section.grace_epochs,
        reduction_factor=section.reduction_factor,
    )
