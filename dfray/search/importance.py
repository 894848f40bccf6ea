"""Importance of each parameter by Optuna's PED-ANOVA (arXiv 2304.10255), with its range.

Importance: the difference between a parameter's distribution among the best trials and among all, as a share
of the sum over parameters. A dozen trials are little evidence, so every share comes with the range it takes
as trials are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dfray.search.result import SearchResult, Trial, trials_with_value, value_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

MIN_TRIALS = 6
"""Trials with a value below which a share of importance would be noise."""
_BEST = 5
"""Lowest number of best trials, by PED-ANOVA's documentation."""
_FOLDS = 20


@dataclass(frozen=True)
class Importance:
    """A parameter's share of the importance, and its lowest and highest as trials are left out."""

    parameter: str
    share: float
    low: float
    high: float


def reason_without(result: SearchResult, space: Mapping[str, BaseDistribution]) -> str | None:
    """Return the reason why there is no importance, as the end of a sentence; None: there is one."""
    trials = trials_with_value(result)
    if len(trials) < MIN_TRIALS:
        return f"it takes {MIN_TRIALS} trials with a value, and there are {len(trials)}"
    if len(_varied(trials, space)) < 2:
        return "fewer than two parameters took more than one value"
    values = sorted((value_of(t) for t in trials), reverse=result.mode == "max")
    if values[math.ceil(_quantile(len(trials)) * len(trials)) - 1] == values[-1]:
        return "too many trials reached the same value"
    return None


def importances(result: SearchResult, space: Mapping[str, BaseDistribution]) -> list[Importance]:
    """Return the parameters that took more than one value, the most important first.

    Trials are left out a twentieth at a time (one at a time where there are no more than twenty).

    Args:
        space: recipe key -> the distribution that it was drawn from.

    Raises:
        ValueError: `reason_without` returns one.
    """
    if reason := reason_without(result, space):
        raise ValueError(reason)
    trials = trials_with_value(result)
    names = _varied(trials, space)
    shares = _shares(trials, names, space, result.mode)
    folds = min(_FOLDS, len(trials))
    without_fold = [
        _shares([t for i, t in enumerate(trials) if i % folds != fold], names, space, result.mode)
        for fold in range(folds)
    ]
    return [
        Importance(name, share, *_range([share, *(fewer[name] for fewer in without_fold)]))
        for name, share in shares.items()
    ]


def _shares(
    trials: Sequence[Trial],
    names: Sequence[str],
    space: Mapping[str, BaseDistribution],
    mode: str,
) -> dict[str, float]:
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    evaluator = PedAnovaImportanceEvaluator(target_quantile=_quantile(len(trials)))
    return get_param_importances(_study(trials, names, space, mode), evaluator=evaluator)


def _study(
    trials: Sequence[Trial],
    names: Sequence[str],
    space: Mapping[str, BaseDistribution],
    mode: str,
) -> Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else it logs every study to stderr
    study = optuna.create_study(direction="maximize" if mode == "max" else "minimize")
    for trial in trials:
        study.add_trial(
            optuna.trial.create_trial(
                params={name: trial.parameters[name] for name in names},
                distributions={name: space[name] for name in names},
                value=trial.value,
            )
        )
    return study


def _quantile(n: int) -> float:
    """Return the share of trials that count as best: a tenth, but at least _BEST trials, at most half."""
    return min(0.5, max(0.1, _BEST / n))


def _varied(trials: Sequence[Trial], space: Mapping[str, BaseDistribution]) -> list[str]:
    return [name for name in space if len({t.parameters[name] for t in trials}) > 1]


def _range(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)
