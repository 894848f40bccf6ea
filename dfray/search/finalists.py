"""The best trials again, each with the same fresh seeds: one lucky seed makes no winner."""

from __future__ import annotations

from dfray.config import SearchSection
from dfray.errors import SearchError
from dfray.search.result import Finalist, Trial
from dfray.search.suggest import Planned

_SEED = "-seed-"


def best_trials(trials: list[Trial], section: SearchSection) -> list[Trial]:
    """The `finalists` best trials, or the best one if none is to be repeated; the best first.

    Trials that were stopped count by what they had reached.

    Raises:
        SearchError: no trial has reported the metric; the reasons are told.
    """
    told = [trial for trial in trials if trial.value is not None and trial.state != "failed"]
    if not told:
        reasons = sorted({trial.error or "no figure was reported" for trial in trials})
        raise SearchError(
            f"None of {len(trials)} trials reported {section.figure}: {'; '.join(reasons)}.",
            "Mend that, and go on with --resume; or narrow search.space.",
        )
    sign = -1 if section.mode == "max" else 1
    told.sort(key=lambda trial: (sign * (trial.value or 0.0), trial.number))
    return told[: max(1, section.finalists)]


def plan_finalists(chosen: list[Trial], section: SearchSection) -> list[Planned]:
    """One training for each finalist and seed; seeds that the search has not used, the same for all."""
    planned = []
    for number, (seed, trial) in enumerate((s, t) for s in range(section.seeds) for t in chosen):
        fresh = trial.seed + 1 + seed
        planned.append(Planned(f"{trial.id}{_SEED}{fresh}", number, trial.parameters, fresh))
    return planned


def _repeats(run: Trial, trial: Trial) -> bool:
    return run.id.startswith(trial.id + _SEED)


def rank_finalists(
    chosen: list[Trial], runs: list[Trial], section: SearchSection
) -> list[Finalist]:
    """The finalists with their runs, the best mean first; those whose every run failed last."""
    found = [
        Finalist(trial.id, trial.parameters, [run for run in runs if _repeats(run, trial)])
        for trial in chosen
    ]
    sign = -1 if section.mode == "max" else 1
    return sorted(found, key=lambda one: (one.mean is None, sign * (one.mean or 0.0)))
