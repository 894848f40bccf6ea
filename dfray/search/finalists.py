"""Finalists: the best trials, each repeated with the same fresh seeds, so that no lucky seed wins."""

from __future__ import annotations

from dfray.config import SearchSection
from dfray.errors import SearchError
from dfray.search.result import Finalist, Trial
from dfray.search.suggest import PlannedTrial

_SEED = "-seed-"


def best_trials(trials: list[Trial], section: SearchSection) -> list[Trial]:
    """Return the `finalists` best trials, or the best one if none is repeated; the best first.

    Stopped trials count by the best value before they were stopped.

    Raises:
        SearchError: no trial has reported the metric; the message has the reasons.
    """
    reported = [trial for trial in trials if trial.value is not None and trial.state != "failed"]
    if not reported:
        reasons = sorted({trial.error or "no metric was reported" for trial in trials})
        raise SearchError(
            f"None of {len(trials)} trials reported {section.metric_key}: {'; '.join(reasons)}.",
            "Remove the cause, and continue with --resume; or narrow search.space.",
        )
    sign = -1 if section.mode == "max" else 1
    reported.sort(key=lambda trial: (sign * (trial.value or 0.0), trial.number))
    return reported[: max(1, section.finalists)]


def plan_finalists(best: list[Trial], section: SearchSection) -> list[PlannedTrial]:
    """Plan one training for each finalist and seed, with seeds that the search has not used."""
    planned = []
    for number, (repeat, trial) in enumerate((s, t) for s in range(section.seeds) for t in best):
        seed = trial.seed + 1 + repeat
        planned.append(PlannedTrial(f"{trial.id}{_SEED}{seed}", number, trial.parameters, seed))
    return planned


def _repeats(run: Trial, trial: Trial) -> bool:
    return run.id.startswith(trial.id + _SEED)


def rank_finalists(best: list[Trial], runs: list[Trial], section: SearchSection) -> list[Finalist]:
    """Return the finalists with their runs, the best mean first; those whose every run failed last."""
    finalists = [
        Finalist(trial.id, trial.parameters, [run for run in runs if _repeats(run, trial)])
        for trial in best
    ]
    sign = -1 if section.mode == "max" else 1
    return sorted(finalists, key=lambda f: (f.mean is None, sign * (f.mean or 0.0)))
