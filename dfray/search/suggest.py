"""Searchers for Ray Tune: the next trial's parameters, written to its folder before it starts.

The n-th draw depends on the seed, on n and on the trials that have ended by then, so a resumed search draws
the same parameters. Trials that were started before come again, in their order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ray.tune.search import Searcher

from dfray.config import SearchSection
from dfray.errors import RecipeError
from dfray.search.result import Trial, Value
from dfray.search.space import distributions, trial_recipe
from dfray.search.trial import TrialSettings, tune_config

if TYPE_CHECKING:
    import optuna

_DRAWS = 100


class StudySearch(Searcher):
    """Optuna's TPE over the space: a stopped trial is pruned in the study, a failed one has no value."""

    def __init__(self, settings: TrialSettings) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        section = settings.recipe.search
        super().__init__(metric=section.metric_key, mode=section.mode)
        self.settings, self.section = settings, section
        self._space = distributions(section)
        self._draws: dict[str, tuple[str, optuna.Trial]] = {}
        self.study = optuna.create_study(
            direction="maximize" if section.mode == "max" else "minimize"
        )

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        number = len(self._draws)
        if number >= self.section.trials:
            return str(Searcher.FINISHED)
        folder = self.settings.folder(trial_name(number))
        self.study.sampler = _sampler(self.section, number)
        if folder.exists():
            self.study.enqueue_trial(self.settings.read(folder.id).parameters)
            draw = self.study.ask(self._space)
        else:
            draw = self._draw()
            folder.begin(number, draw.params, self.settings.recipe.seed, "search")
        self._draws[trial_id] = folder.id, draw
        return tune_config(folder.id)

    def _draw(self) -> optuna.Trial:
        """Return the first draw that the recipe accepts; TPE learns nothing of the others.

        Raises:
            RecipeError: it accepts none of _DRAWS draws.
        """
        from optuna.trial import TrialState

        for _ in range(_DRAWS):
            draw = self.study.ask(self._space)
            try:
                trial_recipe(self.settings.recipe, draw.params)
            except RecipeError as error:
                refused = error
                self.study.tell(draw, state=TrialState.FAIL)
            else:
                return draw
        raise RecipeError(
            f"No values of search.space went together in {_DRAWS} draws. The last: {refused}",
            "Narrow search.space to values that go together.",
        )

    def on_trial_complete(self, trial_id: str, *, error: bool = False, **_: Any) -> None:
        from optuna.trial import TrialState

        name, draw = self._draws[trial_id]
        trial = self.settings.read(name)
        values = _values(trial, self.section.metric_key)
        for epochs, value in values.items():
            draw.report(value, epochs)
        if error or not values:
            self.study.tell(draw, state=TrialState.FAIL)
        elif trial.epochs < self.settings.recipe.training.epochs:
            self.study.tell(draw, state=TrialState.PRUNED)
        else:
            self.study.tell(draw, trial.value)

    def save(self, *_: Any) -> None:
        """Do nothing: the trials' folders hold the search's state."""

    def restore(self, *_: Any) -> None:
        """Do nothing, as `save`."""


def trial_name(number: int) -> str:
    """Return the id of the search's n-th trial."""
    return f"trial-{number:03d}"


@dataclass(frozen=True)
class PlannedTrial:
    """Number, parameters and seed of a trial that is planned beforehand."""

    id: str
    number: int
    parameters: dict[str, Value]
    seed: int


class PlannedSearch(Searcher):
    """Planned trials, one after the other."""

    def __init__(self, settings: TrialSettings, planned: Sequence[PlannedTrial]) -> None:
        super().__init__(metric=settings.recipe.search.metric_key, mode=settings.recipe.search.mode)
        self.settings, self._left = settings, list(planned)

    def suggest(self, *_: Any) -> dict[str, Any] | str:
        if not self._left:
            return str(Searcher.FINISHED)
        trial = self._left.pop(0)
        folder = self.settings.folder(trial.id)
        if not folder.exists():
            folder.begin(trial.number, trial.parameters, trial.seed, "finalist")
        return tune_config(trial.id)

    def on_trial_complete(self, *_: Any, **__: Any) -> None:
        """Do nothing: the plan does not depend on results."""

    def save(self, *_: Any) -> None:
        """Do nothing, as for `StudySearch`."""

    def restore(self, *_: Any) -> None:
        """Do nothing, as `save`."""


def _sampler(section: SearchSection, number: int) -> optuna.samplers.BaseSampler:
    """Return the sampler of the n-th draw, so that draws do not depend on earlier interruptions."""
    from optuna.samplers import TPESampler

    seed = np.random.SeedSequence([section.seed, number]).generate_state(1)[0]
    return TPESampler(n_startup_trials=section.startup_trials, seed=int(seed))


def _values(trial: Trial, metric_key: str) -> dict[int, float]:
    """Return epochs trained -> metric, for the epochs whose metric is finite."""
    values = {int(epoch["epoch"]) + 1: epoch.get(metric_key, math.nan) for epoch in trial.curve}
    return {epochs: value for epochs, value in values.items() if math.isfinite(value)}
