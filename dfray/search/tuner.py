"""Trials through Ray Tune: as many at once as fit, the worse ones stopped early, lost ones tried again.

Tune's own record of an experiment is written every few seconds and not in one piece, so a search that is
killed would lose trials or fail to load; it is thrown away here. The trials' folders are the record.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper

from dfray.config import Recipe
from dfray.errors import ResourceError
from dfray.search.concurrency import Capacity, capacity
from dfray.search.result import Trial
from dfray.search.trial import TrialSettings, run_trial
from dfray.session import nodes_of

_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",  # it prints a box however quiet it is asked to be
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no files beside the trials' own
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # it would end the search as if it were done
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
}

_HOPELESS = 3
"""Trials that fail before any tells an epoch, after which none is begun any more."""

_LOOK_EVERY_S = 5.0

OnTrial = Callable[[Trial], None]
OnNodes = Callable[[bool], None]


def run_trials(
    settings: TrialSettings,
    searcher: Searcher,
    count: int,
    fits: Capacity,
    *,
    halving: bool,
    on_trial: OnTrial,
    on_nodes: OnNodes,
) -> None:
    """Run the `count` trials that `searcher` gives, each to an end that its folder tells.

    Args:
        halving: stop the worse ones early, if the recipe's scheduler does.
        on_trial: called with a trial that has begun, told an epoch, or ended.
        on_nodes: called every few seconds with whether a trial fits on the nodes that are left.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    section, training = settings.recipe.search, settings.recipe.training
    trainable: Any = tune.with_parameters(run_trial, settings=settings)
    follow = FollowTrials(settings, on_trial, on_nodes)
    with tempfile.TemporaryDirectory(prefix="dfray-tune-") as scratch:
        tune.Tuner(
            tune.with_resources(trainable, fits.trial_resources),
            tune_config=tune.TuneConfig(
                metric=section.figure,
                mode=section.mode,
                search_alg=searcher,
                scheduler=_scheduler(settings.recipe) if halving else FIFOScheduler(),
                num_samples=count,
                max_concurrent_trials=fits.concurrent,
                reuse_actors=fits.alone,  # a run on workers cannot be let go of in time
            ),
            run_config=tune.RunConfig(
                name="trials",
                storage_path=scratch,
                failure_config=tune.FailureConfig(max_failures=training.max_failures),
                callbacks=[follow],
                stop=Hopeless(follow),
                verbose=0,
            ),
        ).fit()


class FollowTrials(tune.Callback):
    """Writes how each trial ended, and passes on what became of it; Tune names its arguments."""

    def __init__(self, settings: TrialSettings, on_trial: OnTrial, on_nodes: OnNodes) -> None:
        self.settings, self.on_trial, self.on_nodes = settings, on_trial, on_nodes
        self.failed, self.told = 0, False
        self._looked_s = time.monotonic()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune keeps a pickle of it to restore, which nobody does

    def on_step_begin(self, **_: Any) -> None:
        if time.monotonic() - self._looked_s > _LOOK_EVERY_S:
            self._looked_s = time.monotonic()
            self.on_nodes(_fits_anywhere(self.settings.recipe))

    def on_trial_start(self, *, trial: Any, **_: Any) -> None:
        self._pass_on(trial)

    def on_trial_result(self, *, trial: Any, **_: Any) -> None:
        self.told = True
        self._pass_on(trial)

    def on_trial_complete(self, *, trial: Any, **_: Any) -> None:
        found, folder = (
            self.settings.read(trial.config["id"]),
            self.settings.folder(trial.config["id"]),
        )
        if found.epochs and found.state not in ("finished", "stopped"):
            whole = found.epochs >= self.settings.recipe.training.epochs
            folder.end("finished" if whole else "stopped")
        self._pass_on(trial)

    def on_trial_error(self, *, trial: Any, **_: Any) -> None:
        self.failed += 1
        if self.settings.read(trial.config["id"]).state != "failed":
            lost = "Its process died again and again: killed, out of memory, or its node was lost."
            self.settings.folder(trial.config["id"]).end("failed", lost)
        self._pass_on(trial)

    def _pass_on(self, trial: Any) -> None:
        self.on_trial(self.settings.read(trial.config["id"]))


class Hopeless(Stopper):
    """Ends a search whose first trials have all failed: what ails them ails those to come."""

    def __init__(self, follow: FollowTrials) -> None:
        self._follow = follow

    def __call__(self, *_: Any) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._follow.failed >= _HOPELESS and not self._follow.told


def _fits_anywhere(recipe: Recipe) -> bool:
    """Whether a trial fits on the nodes that there are now."""
    try:
        capacity(recipe, [node["Resources"] for node in nodes_of(recipe.cluster.train_on)])
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
