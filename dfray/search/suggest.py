"""Which trial comes next, as Ray Tune asks for it; each is written before it starts.

The n-th draw depends on the seed, on n and on what is known by then, so that a resumed search draws what it
would have drawn. Trials that were begun before are given again, in their order.
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
from dfray.search.trial import TrialSettings

if TYPE_CHECKING:
    import optuna

_DRAWS = 100


class StudySearch(Searcher):
    """Optuna's TPE over the space. A stopped trial counts by how far it came, a failed one does not."""

    def __init__(self, settings: TrialSettings) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        section = settings.recipe.search
        super().__init__(metric=section.figure, mode=section.mode)
        self.settings, self.section = settings, section
        self._space = distributions(section)
        self._asked: dict[str, tuple[str, optuna.Trial]] = {}
        self.study = optuna.create_study(
            direction="maximize" if section.mode == "max" else "minimize"
        )

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        number = len(self._asked)
        if number >= self.section.trials:
            return Searcher.FINISHED
        folder = self.settings.folder(trial_name(number))
        self.study.sampler = _sampler(self.section, number)
        if folder.exists():
            self.study.enqueue_trial(self.settings.read(folder.id).parameters)
            asked = self.study.ask(self._space)
        else:
            asked = self._draw()
            folder.begin(number, asked.params, self.settings.recipe.seed, "search")
        self._asked[trial_id] = folder.id, asked
        return {"id": folder.id}

    def _draw(self) -> optuna.Trial:
        """The first draw whose values go together; TPE learns nothing of the others.

        Raises:
            RecipeError: in so many draws none did.
        """
        from optuna.trial import TrialState

        for _ in range(_DRAWS):
            asked = self.study.ask(self._space)
            try:
                trial_recipe(self.settings.recipe, asked.params)
            except RecipeError as error:
                refused = error
                self.study.tell(asked, state=TrialState.FAIL)
            else:
                return asked
        raise RecipeError(
            f"No values of search.space went together in {_DRAWS} draws. The last: {refused}",
            "Narrow search.space to values that go together.",
        )

    def on_trial_complete(self, trial_id: str, *, error: bool = False, **_: Any) -> None:
        from optuna.trial import TrialState

        name, asked = self._asked[trial_id]
        trial = self.settings.read(name)
        values = _values(trial, self.section.figure)
        for epochs, value in values.items():
            asked.report(value, epochs)
        if error or not values:
            self.study.tell(asked, state=TrialState.FAIL)
        elif trial.epochs < self.settings.recipe.training.epochs:
            self.study.tell(asked, state=TrialState.PRUNED)
        else:
            self.study.tell(asked, trial.value)

    def save(self, *_: Any) -> None:
        """Nothing: the trials' folders hold it all."""

    def restore(self, *_: Any) -> None:
        """Nothing, as `save`."""


def trial_name(number: int) -> str:
    return f"trial-{number:03d}"


@dataclass(frozen=True)
class Planned:
    """A trial whose parameters are known beforehand."""

    id: str
    number: int
    parameters: dict[str, Value]
    seed: int


class PlannedSearch(Searcher):
    """Trials that are known beforehand, one after the other."""

    def __init__(self, settings: TrialSettings, planned: Sequence[Planned]) -> None:
        super().__init__(metric=settings.recipe.search.figure, mode=settings.recipe.search.mode)
        self.settings, self._left = settings, list(planned)

    def suggest(self, *_: Any) -> dict[str, Any] | str:
        if not self._left:
            return Searcher.FINISHED
        trial = self._left.pop(0)
        folder = self.settings.folder(trial.id)
        if not folder.exists():
            folder.begin(trial.number, trial.parameters, trial.seed, "finalist")
        return {"id": trial.id}

    def on_trial_complete(self, *_: Any, **__: Any) -> None:
        """Nothing follows from it."""

    def save(self, *_: Any) -> None:
        """Nothing, as for `StudySearch`."""

    def restore(self, *_: Any) -> None:
        """Nothing, as `save`."""


def _sampler(section: SearchSection, number: int) -> optuna.samplers.BaseSampler:
    """For the n-th draw alone, so that draws do not depend on how often the search was cut off."""
    from optuna.samplers import TPESampler

    seed = np.random.SeedSequence([section.seed, number]).generate_state(1)[0]
    return TPESampler(n_startup_trials=section.startup_trials, seed=int(seed))


def _values(trial: Trial, figure: str) -> dict[int, float]:
    """epochs trained -> the metric, where it is a number."""
    found = {int(epoch["epoch"]) + 1: epoch.get(figure, math.nan) for epoch in trial.curve}
    return {epochs: value for epochs, value in found.items() if math.isfinite(value)}
