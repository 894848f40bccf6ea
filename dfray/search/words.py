"""How a search is told: what the page and the terminal have in common."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from dfray.search.result import SearchResult, State, Trial, Value, better

METRICS = {"val_auc": "validation AUC", "val_log_loss": "validation log-loss"}
STATES: tuple[State, ...] = ("finished", "stopped", "failed", "running")


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """recipe key -> its last two words, or as many as tell it from the others."""
    short = {}
    for key in keys:
        words = key.split(".")
        ends = [".".join(words[-n:]) for n in range(min(2, len(words)), len(words) + 1)]
        unique = (
            end for end in ends if sum(f".{other}".endswith(f".{end}") for other in keys) == 1
        )
        short[key] = next(unique, key)
    return short


def shown(value: Value) -> str:
    """A parameter's value in as few digits as tell it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def measured(result: SearchResult) -> list[Trial]:
    """The trials of the search that have a figure, those stopped early included."""
    return [t for t in result.trials if t.value is not None and math.isfinite(t.value)]


def value_of(trial: Trial) -> float:
    """The metric of a trial that was measured."""
    assert trial.value is not None, "only measured trials are asked"
    return trial.value


def ranked(result: SearchResult) -> list[Trial]:
    """The trials of the search that have not failed, the best first, those without a figure last."""
    alive = [trial for trial in result.trials if trial.state != "failed"]
    best = [trial for trial in measured(result) if trial in alive]
    best.sort(key=lambda trial: better(result.mode, value_of(trial)))
    return best + [trial for trial in alive if trial not in best]


def state_counts(trials: Sequence[Trial]) -> str:
    """Such as `9 finished, 2 stopped, 1 failed`."""
    counts = Counter(trial.state for trial in trials)
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])


def epochs_taken(result: SearchResult) -> int:
    return sum(trial.epochs for trial in result.trials)
