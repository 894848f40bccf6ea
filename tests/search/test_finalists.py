"""The best trials are repeated with fresh seeds, the same for all, and ranked by their means."""

from __future__ import annotations

import pytest

from dfray.config import SearchSection
from dfray.errors import SearchError
from dfray.search.finalists import best_trials, plan_finalists, rank_finalists
from tests.search.trials import trial

SECTION = SearchSection(finalists=2, seeds=2)


def test_the_best_by_the_metric_are_chosen_whichever_way_it_is_better() -> None:
    trials = [trial(0, "finished", 0.7), trial(1, "stopped", 0.9), trial(2, "finished", 0.8)]
    assert [item.number for item in best_trials(trials, SECTION)] == [1, 2]
    losses = SearchSection(finalists=2, metric="log_loss")
    assert [item.number for item in best_trials(trials, losses)] == [0, 2]


def test_failed_trials_are_not_chosen() -> None:
    trials = [trial(0, "failed", 0.9), trial(1, "finished", 0.5)]
    assert [item.number for item in best_trials(trials, SECTION)] == [1]


def test_without_finalists_the_best_trial_wins() -> None:
    trials = [trial(0, "finished", 0.7), trial(1, "finished", 0.9)]
    (best,) = best_trials(trials, SearchSection(finalists=0))
    assert best.number == 1


def test_if_no_trial_reported_the_metric_the_error_lists_the_reasons() -> None:
    trials = [trial(0, "failed"), trial(1, "failed", error="out of memory")]
    with pytest.raises(SearchError, match=r"None of 2 trials.*val_auc: it broke; out of memory"):
        best_trials(trials, SECTION)


def test_every_finalist_has_the_same_seeds_and_none_that_the_search_used() -> None:
    repeated = [trial(4, "finished", 0.9, seed=7), trial(2, "finished", 0.8, seed=7)]
    planned = plan_finalists(repeated, SECTION)
    assert [(item.id, item.seed) for item in planned] == [
        ("trial-004-seed-8", 8),
        ("trial-002-seed-8", 8),
        ("trial-004-seed-9", 9),
        ("trial-002-seed-9", 9),
    ]
    assert planned[1].parameters == repeated[1].parameters
    assert [item.number for item in planned] == [0, 1, 2, 3]


def test_the_best_mean_comes_first_and_a_finalist_that_failed_last() -> None:
    repeated = [trial(number, "finished", 0.9) for number in (1, 2, 3)]
    values = {1: (), 2: (0.6, 0.9), 3: (0.8, 0.82)}
    runs = [
        trial(0, "finished" if value else "failed", value, id=f"trial-00{of}-seed-{seed}")
        for of, scored in values.items()
        for seed, value in enumerate(scored, 1)
    ]
    ranked = rank_finalists(repeated, runs, SECTION)
    assert [item.trial for item in ranked] == ["trial-003", "trial-002", "trial-001"]
    assert ranked[0].mean == pytest.approx(0.81)
    assert ranked[1].spread == pytest.approx(0.3 / 2**0.5)
    assert ranked[2].mean is None
