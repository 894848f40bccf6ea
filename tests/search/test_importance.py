"""Importance of the parameters, and the reasons for none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from dfray.search.importance import MIN_TRIALS, importances, reason_without
from dfray.search.result import SearchResult, Value, trials_with_value
from tests.helpers.searches import SPACE, M, W, ended_search


def with_parameter(
    result: SearchResult, name: str, values: list[Value], dist: BaseDistribution
) -> tuple[SearchResult, dict[str, BaseDistribution]]:
    """The search with one more parameter, whose values its trials have in turn."""
    trials = [
        replace(t, parameters=t.parameters | {name: values[t.number % len(values)]})
        for t in result.trials
    ]
    return replace(result, trials=trials), SPACE | {name: dist}


@pytest.mark.parametrize("metric", ["val_auc", "val_log_loss"])
def test_the_parameter_that_the_metric_follows_comes_first_whichever_way_it_is_better(
    metric: str,
) -> None:
    first, second = importances(ended_search(60, metric=metric), SPACE)
    assert (first.parameter, second.parameter) == (W, M)
    assert first.share > 0.7
    assert first.share + second.share == pytest.approx(1)


def test_its_range_as_trials_are_left_out_holds_the_share_and_is_wider_with_fewer_trials() -> None:
    few, many = (importances(ended_search(n), SPACE)[0] for n in (12, 200))
    assert few.low <= few.share <= few.high
    assert few.high - few.low > many.high - many.low


def test_the_same_search_always_has_the_same_importances() -> None:
    assert importances(ended_search(12), SPACE) == importances(ended_search(12), SPACE)


def test_a_choice_by_name_takes_part() -> None:
    strategies = CategoricalDistribution(["batch_all", "hard"])
    result, space = with_parameter(
        ended_search(30), "objective.triplet.strategy", ["batch_all", "hard"], strategies
    )
    assert {item.parameter for item in importances(result, space)} == set(space)


def test_a_parameter_that_took_one_value_takes_no_part() -> None:
    result, space = with_parameter(
        ended_search(30), "training.lr", [1e-3], FloatDistribution(1e-3, 1e-3)
    )
    assert {item.parameter for item in importances(result, space)} == {W, M}


def test_failed_trials_and_values_that_are_not_finite_take_no_part() -> None:
    result = ended_search(12, failed=2)
    broken = replace(result.trials[0], value=float("nan"))
    trials = trials_with_value(replace(result, trials=[broken, *result.trials[1:]]))
    assert [trial.number for trial in trials] == list(range(1, 10))


@pytest.mark.parametrize("trials", [1, 3, MIN_TRIALS - 1])
def test_too_few_trials_are_a_reason_for_none(trials: int) -> None:
    result = ended_search(trials, finalists=0)
    assert (
        reason_without(result, SPACE) == f"it takes 6 trials with a value, and there are {trials}"
    )
    with pytest.raises(ValueError, match="it takes 6 trials"):
        importances(result, SPACE)


def test_fewer_than_two_parameters_that_vary_are_a_reason_for_none() -> None:
    reason = reason_without(ended_search(12), {W: SPACE[W]})
    assert reason == "fewer than two parameters took more than one value"


def test_equal_trials_are_a_reason_for_none() -> None:
    result = ended_search(12)
    alike = replace(result, trials=[replace(trial, value=1.0) for trial in result.trials])
    assert reason_without(alike, SPACE) == "too many trials reached the same value"
