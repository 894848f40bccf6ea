"""How much each parameter mattered, by Optuna's PED-ANOVA (arXiv 2304.10255), with its own doubt beside it.

Importance here: how differently a parameter is spread among the best trials than among all, as a share of
the sum over parameters. A dozen trials say little of it, so every figure comes with the range it takes as
trials are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dfray.search.result import SearchResult, Trial, measured, value_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

MIN_TRIALS = 6
"""Trials with a figure below which a share of importance would be noise."""
_BEST = 5
"""Trials that the best should be at least, says PED-ANOVA's documentation."""
_PARTS = 20


@dataclass(frozen=True)
class Importance:
    """A parameter's share of the importance, and its lowest and highest as trials are left out."""

    parameter: str
    share: float
    low: float
    high: float


def why_not(result: SearchResult, space: Mapping[str, BaseDistribution]) -> str | None:
    """Why no importance can be told, as the end of a sentence; none: it can."""
    trials = measured(result)
    if len(trials) < MIN_TRIALS:
        return f"it takes {MIN_TRIALS} trials with a figure, and there are {len(trials)}"
    if len(_varied(trials, space)) < 2:
        return "fewer than two parameters took more than one value"
    values = sorted((value_of(t) for t in trials), reverse=result.mode == "max")
    if values[math.ceil(_quantile(len(trials)) * len(trials)) - 1] == values[-1]:
        return "too many trials reached the same figure"
    return None


def importances(result: SearchResult, space: Mapping[str, BaseDistribution]) -> list[Importance]:
    """The parameters that took more than one value, the most important first.

    Trials are left out a twentieth at a time (one at a time where there are no more than twenty).

    Args:
        space: recipe key -> what it was drawn from.

    Raises:
        ValueError: `why_not` has a reason.
    """
    if reason := why_not(result, space):
        raise ValueError(reason)
    trials = measured(result)
    names = _varied(trials, space)
    whole = _shares(trials, names, space, result.mode)
    parts = min(_PARTS, len(trials))
    left = [
        _shares([t for i, t in enumerate(trials) if i % parts != part], names, space, result.mode)
        for part in range(parts)
    ]
    return [
        Importance(name, share, *_range([share, *(shares[name] for shares in left)]))
        for name, share in whole.items()
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

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else it tells of every study on stderr
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
    """The share of the trials that are the best: a tenth, but at least _BEST of them, at most half."""
    return min(0.5, max(0.1, _BEST / n))


def _varied(trials: Sequence[Trial], space: Mapping[str, BaseDistribution]) -> list[str]:
    return [name for name in space if len({t.parameters[name] for t in trials}) > 1]


def _range(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)
