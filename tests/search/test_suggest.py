"""Searchers: the same next trial after any interruption, and each written before it starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from dfray.errors import RecipeError
from dfray.recipe import with_values
from dfray.search.suggest import PlannedSearch, PlannedTrial, StudySearch
from dfray.search.trial import TrialSettings
from tests.search.trials import curve, settings_of

SEARCH = "search={trials: 5, startup_trials: 2}"


def suggest(searcher: StudySearch, count: int) -> list[str]:
    return [searcher.suggest(f"tune-{number}")["id"] for number in range(count)]


def end(
    settings: TrialSettings, searcher: StudySearch, name: str, tune_id: str, *values: float
) -> None:
    settings.folder(name).write_curve(curve(*values))
    searcher.on_trial_complete(tune_id, error=not values)


def parameters(settings: TrialSettings, count: int = 5) -> list[dict]:
    return [settings.read(f"trial-{number:03d}").parameters for number in range(count)]


def walk(settings: TrialSettings, searcher: StudySearch, ended: int) -> None:
    """All trials to the end, the first `ended` of which are known already."""
    for number in range(5):
        name = searcher.suggest(f"tune-{number}")["id"]
        value = 0.5 + 0.05 * number
        end(settings, searcher, name, f"tune-{number}", value, value, value)
    assert searcher.suggest("one too many") == Searcher.FINISHED


def test_each_trial_is_written_before_tune_starts_it(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, SEARCH)
    (name,) = suggest(StudySearch(settings), 1)
    written = settings.read(name)
    assert written.state == "running"
    assert 0.01 <= written.parameters["objective.triplet.weight"] <= 10
    assert written.seed == settings.recipe.seed


def test_a_search_that_was_cut_off_ends_with_the_trials_of_one_that_was_not(
    tmp_path: Path,
) -> None:
    uninterrupted, cut = (
        settings_of(tmp_path / "whole", SEARCH),
        settings_of(tmp_path / "cut", SEARCH),
    )
    walk(uninterrupted, StudySearch(uninterrupted), 0)
    before = StudySearch(cut)
    names = suggest(before, 3)
    end(cut, before, names[0], "tune-0", 0.5, 0.5, 0.5)
    drawn_before = parameters(cut, 3)
    walk(cut, StudySearch(cut), 1)
    assert parameters(cut, 3) == drawn_before
    assert parameters(cut, 3)[:2] == parameters(
        uninterrupted, 2
    )  # the first draws are random, by number


def test_no_two_draws_are_alike_although_each_has_a_sampler_of_its_own(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, SEARCH)
    walk(settings, StudySearch(settings), 0)
    weights = [item["objective.triplet.weight"] for item in parameters(settings)]
    assert len(set(weights)) == 5


TOGETHER = """search={trials: 4, space: {batches.batch_size: {choice: [16, 24]},
    training.accumulate: {choice: [1, 3]}}}"""


def test_values_that_do_not_go_together_are_drawn_again(tmp_path: Path) -> None:
    """16 faces cannot be taken in 3 parts; each value alone makes a recipe."""
    drawn = []
    for seed in range(4):
        settings = settings_of(tmp_path / str(seed), TOGETHER, f"search.seed={seed}")
        suggest(StudySearch(settings), 4)
        drawn += [tuple(item.values()) for item in parameters(settings, 4)]
        again = StudySearch(settings)
        assert suggest(again, 4) == [f"trial-{number:03d}" for number in range(4)]
        assert [trial.params for trial in again.study.trials] == parameters(settings, 4)
    assert set(drawn) == {(16, 1), (24, 1), (24, 3)}


def test_a_space_that_never_goes_together_is_refused_with_the_reason(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, TOGETHER)
    space = {"batches.batch_size": {"choice": [16]}, "training.accumulate": {"choice": [3]}}
    never = with_values(settings.recipe, {"search.space": space}, "the test")
    with pytest.raises(RecipeError, match=r"in 100 draws.*accumulate 3 does not divide") as raised:
        StudySearch(replace(settings, recipe=never)).suggest("tune-0")
    assert "search.space" in raised.value.hint


def test_optuna_learns_how_far_a_stopped_trial_came_and_nothing_of_a_failed_one(
    tmp_path: Path,
) -> None:
    settings = settings_of(tmp_path, SEARCH)
    searcher = StudySearch(settings)
    names = suggest(searcher, 3)
    end(settings, searcher, names[0], "tune-0", 0.5, 0.9, 0.8)
    end(settings, searcher, names[1], "tune-1", 0.6)
    end(settings, searcher, names[2], "tune-2")
    finished, stopped, failed = searcher.study.trials
    assert (finished.state, finished.value) == (TrialState.COMPLETE, 0.9)
    assert (stopped.state, stopped.intermediate_values) == (TrialState.PRUNED, {1: 0.6})
    assert failed.state == TrialState.FAIL


def test_planned_trials_come_in_their_order_and_keep_what_they_had(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, SEARCH)
    planned = [
        PlannedTrial(f"trial-001-seed-{seed}", seed, {"training.lr": 0.1}, seed) for seed in (1, 2)
    ]
    first = PlannedSearch(settings, planned)
    assert first.suggest("a") == {"id": "trial-001-seed-1"}
    settings.folder("trial-001-seed-1").write_curve(curve(0.5))
    again = PlannedSearch(settings, planned)
    assert [again.suggest(name)["id"] for name in "ab"] == [item.id for item in planned]
    assert again.suggest("c") == Searcher.FINISHED
    repeated = settings.read("trial-001-seed-1")
    assert (repeated.kind, repeated.seed, repeated.epochs) == ("finalist", 1, 1)
