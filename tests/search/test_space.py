"""A search space is checked through the recipe before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.batches.labels import LabelScheme
from dfray.batches.sample import sample_faces
from dfray.config import Recipe
from dfray.errors import RecipeError
from dfray.search.space import distributions, require_space, trial_recipe
from tests.helpers.toy import toy_recipe, write_toy_faces


def searching(folder: Path, space: str, *overrides: str) -> Recipe:
    return toy_recipe(folder, "toy", f"search.space={space}", *overrides)


def test_without_a_word_it_is_the_weight_and_margin_of_the_triplet_loss(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path)
    require_space(recipe)
    space = distributions(recipe.search)
    assert set(space) == {"objective.triplet.weight", "objective.triplet.margin"}
    assert space["objective.triplet.weight"].log


def test_each_kind_of_range_is_drawn_as_it_says(tmp_path: Path) -> None:
    space = """{training.lr: {log_uniform: [1.0e-5, 1.0e-3]}, augment.flip: {uniform: [0, 0.5]},
    objective.triplet.balance_steps: {int: [10, 20]},
    objective.triplet.strategy: {choice: [batch_all, batch_hard]}}"""
    recipe = searching(tmp_path, space)
    require_space(recipe)
    space = distributions(recipe.search)
    assert (space["training.lr"].low, space["training.lr"].high) == (1e-5, 1e-3)
    assert not space["augment.flip"].log
    assert space["objective.triplet.balance_steps"].high == 20
    assert space["objective.triplet.strategy"].choices == ("batch_all", "batch_hard")


@pytest.mark.parametrize(
    ("space", "error"),
    [
        ("{objective.triplet.wieght: {uniform: [0, 1]}}", r"wieght. Did you mean weight\?"),
        ("{objectiv.triplet.weight: {uniform: [0, 1]}}", r"objectiv. Did you mean objective\?"),
        ("{objective.triplet.margin: {uniform: [-1, 1]}}", r"objective.triplet.margin.*-1.0"),
        ("{objective.triplet.strategy: {choice: [batch_all, best]}}", "strategy.*'best'"),
        ("{batches.batch_size: {choice: [16, 0]}}", "batch_size.*got 0"),
        ("{faces.size_px: {int: [32, 64]}}", "faces.size_px cannot be searched"),
        ("{corpora.0.root: {choice: [a, b]}}", "corpora.0.root cannot be searched"),
        ("{training.epochs: {int: [2, 4]}}", "training.epochs cannot be searched: the scheduler"),
        ("{training.num_workers: {int: [1, 2]}}", "search.trial_workers"),
        ("{batches.sampling: {choice: [all, balanced]}}", "share one sampled dataset"),
    ],
)
def test_what_makes_no_recipe_is_refused_with_its_reason(
    tmp_path: Path, space: str, error: str
) -> None:
    with pytest.raises(RecipeError, match=error) as refused:
        require_space(searching(tmp_path, space))
    assert str(refused.value).startswith("search.space")


@pytest.mark.parametrize(
    ("parameter", "error"),
    [
        ("{uniform: [1, 1]}", r"the range uniform \[1.0, 1.0\] is empty"),
        ("{int: [3, 2]}", r"the range int \[3, 2\] is empty"),
        ("{log_uniform: [0, 1]}", "no logarithm at its low end"),
        ("{uniform: [0, .inf]}", "finite"),
        ("{choice: []}", "different values, one at least"),
        ("{choice: [1, 1]}", "different values"),
        ("{}", "exactly one of"),
        ("{uniform: [0, 1], choice: [2]}", "uniform and choice"),
        ("{unifrom: [0, 1]}", r"Did you mean uniform\?"),
    ],
)
def test_an_empty_or_misspelt_range_is_refused_where_it_stands(
    tmp_path: Path, parameter: str, error: str
) -> None:
    with pytest.raises(RecipeError, match=error) as refused:
        searching(tmp_path, f"{{training.lr: {parameter}}}")
    assert "search.space.training.lr" in str(refused.value)


@pytest.mark.parametrize("metric", ["loss", "val_loss", "selection_loss", "train_triplet"])
def test_a_training_loss_is_no_metric_as_it_depends_on_what_trials_differ_in(
    tmp_path: Path, metric: str
) -> None:
    with pytest.raises(RecipeError, match=f"{metric} depends on the weights") as refused:
        toy_recipe(tmp_path, "toy", f"search.metric={metric}")
    assert "auc or log_loss" in str(refused.value)


@pytest.mark.parametrize("metric", ["f1", "[auc]", "null"])
def test_a_metric_that_no_trial_reports_is_refused(tmp_path: Path, metric: str) -> None:
    with pytest.raises(RecipeError, match="no trial reports"):
        toy_recipe(tmp_path, "toy", f"search.metric={metric}")


def test_asha_gives_no_more_grace_than_there_are_epochs(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="grace_epochs 5 is more than training.epochs 3"):
        require_space(toy_recipe(tmp_path, "toy", "search.grace_epochs=5"))
    require_space(toy_recipe(tmp_path, "toy", "search={grace_epochs: 5, scheduler: none}"))


def test_a_trial_is_the_recipe_with_its_parameters_and_workers(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, "toy", "search.trial_workers=4")
    parameters = {"objective.triplet.weight": 0.5, "training.lr": 2e-3}
    trial = trial_recipe(recipe, parameters)
    assert trial.objective.triplet.weight == 0.5
    assert trial.training.num_workers == 4
    unchanged = {"objective.triplet.weight": 0.1, "training.lr": 1e-3}
    again = trial_recipe(trial, unchanged | {"training.num_workers": 2})
    assert trial_recipe(recipe, {}).faces == recipe.faces
    assert again.objective == recipe.objective


def test_trials_read_the_same_faces_whatever_they_differ_in(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path)
    summaries = write_toy_faces(recipe)
    samples = []
    for key, value in (
        ("objective.triplet.weight", 5.0),
        ("batches.labels", "category"),
        ("batches.batch_size", 8),
        ("model.backbone", "resnet10t"),
    ):
        section = trial_recipe(recipe, {key: value}).batches
        classes = LabelScheme.of(section.labels, summaries)
        for split in ("train", "val"):
            sample = sample_faces(summaries, split, section, classes)
            samples.append((split, sample.shards, sample.shard.tolist(), sample.row.tolist()))
    assert samples == samples[:2] * 4


def test_the_search_section_leaves_a_runs_fingerprint_alone(tmp_path: Path) -> None:
    plain = toy_recipe(tmp_path)
    searching_longer = toy_recipe(tmp_path, "toy", "search.trials=99")
    assert plain.fingerprint() == searching_longer.fingerprint()
    assert plain.search.fingerprint() != searching_longer.search.fingerprint()
    fewer = toy_recipe(tmp_path, "toy", "search.max_concurrent=1")
    assert plain.search.fingerprint() == fewer.search.fingerprint()
