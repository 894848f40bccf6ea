"""Result of a search, stored as `search/result.json` in the run's folder."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from dfray import storage
from dfray.documents import read_json, validated

Value = bool | int | float | str
"""Value of one parameter."""

State = Literal["finished", "stopped", "failed", "running"]


@dataclass(frozen=True)
class Trial:
    """One training with one set of parameters.

    Attributes:
        id: also the name of its folder and of its MLflow run.
        number: 0 for the first that was started; finalists have numbers of their own.
        parameters: recipe key, such as `objective.triplet.weight` -> value.
        state: `stopped` by the scheduler before its last epoch; `running` if the search was cut off.
        curve: the metrics of each epoch: `epoch` (from 0), `train_*`, `val_*`, `lr`, `seconds`, ...
        value: the metric's best value over the epochs; None before the first epoch's end.
        epochs: number of trained epochs.
        run_id: its MLflow run.
        folder: its run folder, with `model/` (the bundle of its best epoch) once it has ended.
        error: reason of its failure.
    """

    id: str
    number: int
    parameters: dict[str, Value]
    seed: int
    kind: Literal["search", "finalist"]
    state: State
    curve: list[dict[str, float]]
    value: float | None
    epochs: int
    run_id: str | None
    folder: str
    error: str | None = None


@dataclass(frozen=True)
class Finalist:
    """Parameters of a trial that were trained again with fresh seeds.

    Attributes:
        trial: the id of the search's trial that has these parameters.
        runs: one for each seed, all of kind `finalist`.
    """

    trial: str
    parameters: dict[str, Value]
    runs: list[Trial]

    @cached_property
    def values(self) -> list[float]:
        """The metric of each run that has one."""
        return [run.value for run in self.runs if run.value is not None]

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.values) if self.values else None

    @property
    def spread(self) -> float | None:
        """Standard deviation over seeds (n - 1); none with fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class ValidationVideos:
    """Counts of the validation videos with faces, by which trials are compared."""

    n_real: int
    n_fake: int
    n_datasets: int

    def __str__(self) -> str:
        total = self.n_real + self.n_fake
        of = "" if self.n_datasets == 1 else f" of {self.n_datasets} datasets"
        return f"{total:,} validation videos{of} ({self.n_real:,} real, {self.n_fake:,} fake)"


@dataclass(frozen=True)
class SearchResult:
    """A search that has ended.

    Attributes:
        metric: `val_auc` or `val_log_loss`, a key of every curve.
        mode: direction in which the metric is better.
        epochs: number of epochs of a trial that is not stopped.
        trials: those of the search, in the order of their numbers.
        finalists: the best mean first.
        winner: the best run of the best finalist; its bundle is what is registered.
        winning_trial: id of the search's trial whose parameters won.
        parent_run_id: the MLflow run whose children the trials are.
        version: of the registered model, alias `candidate`; None: nothing was registered.
        folder: `<work_dir>/<name>/search`.
        validation: None in results of an earlier dfray.
    """

    recipe_name: str
    metric: str
    mode: Literal["max", "min"]
    epochs: int
    trials: list[Trial]
    finalists: list[Finalist]
    winner: Trial
    winning_trial: str
    parent_run_id: str
    tracking_uri: str
    version: str | None
    folder: str
    validation: ValidationVideos | None = None

    def save(self, uri: str) -> None:
        """Write it as JSON."""
        from pydantic import TypeAdapter

        storage.write_bytes(TypeAdapter(SearchResult).dump_json(self, indent=2), uri)

    @classmethod
    def load(cls, uri: str) -> SearchResult:
        """Read the result that `save` wrote.

        Raises:
            UserError: it was edited to be none, or is damaged.
        """
        hint = "Run the search again with --resume: its trials are kept, and the result is written anew."
        return validated(cls, read_json(uri, hint=hint, with_nan=True), uri, hint=hint)


def better(metric_mode: Literal["max", "min"], value: float) -> float:
    """Return a sort key that puts the best value first."""
    return -value if metric_mode == "max" else value


METRICS = {"val_auc": "validation AUC", "val_log_loss": "validation log-loss"}
STATES: tuple[State, ...] = ("finished", "stopped", "failed", "running")


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return recipe key -> its last two levels, or as many as make it unique."""
    short = {}
    for key in keys:
        levels = key.split(".")
        ends = [".".join(levels[-n:]) for n in range(min(2, len(levels)), len(levels) + 1)]
        unique = (end for end in ends if sum(f".{k}".endswith(f".{end}") for k in keys) == 1)
        short[key] = next(unique, key)
    return short


def value_text(value: Value) -> str:
    """Return a parameter's value with at most four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def trials_with_value(result: SearchResult) -> list[Trial]:
    """Return the search's trials that have a finite value, those stopped early included."""
    return [t for t in result.trials if t.value is not None and math.isfinite(t.value)]


def value_of(trial: Trial) -> float:
    """Return the metric of a trial that has a value."""
    assert trial.value is not None, "the trial has reported no value"
    return trial.value


def ranked(result: SearchResult) -> list[Trial]:
    """Return the search's trials that have not failed, the best first, those without a value last."""
    trials = [trial for trial in result.trials if trial.state != "failed"]
    best = [trial for trial in trials_with_value(result) if trial in trials]
    best.sort(key=lambda trial: better(result.mode, value_of(trial)))
    return best + [trial for trial in trials if trial not in best]


def state_counts(trials: Sequence[Trial]) -> str:
    """Return a count of states, such as `9 finished, 2 stopped, 1 failed`."""
    counts = Counter(trial.state for trial in trials)
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])


def epochs_taken(result: SearchResult) -> int:
    """Return the number of epochs that the search's trials trained."""
    return sum(trial.epochs for trial in result.trials)
