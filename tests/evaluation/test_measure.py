"""Decision rule of a model: fitted on validation as the recipe asks, whatever the bundle had before."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray import storage
from dfray.config import Recipe
from dfray.evaluation.reference import read_reference
from dfray.models.bundle import Bundle
from dfray.models.bundle_description import DecisionRule, read_decision_rule
from dfray.run_context import RunContext
from tests.helpers.evaluated import fit, save_model, untrained_run, with_evaluation
from tests.helpers.runs import write_faces
from tests.helpers.toy import toy_recipe

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, scored_in_process: None) -> Recipe:
    return untrained_run(tmp_path_factory.mktemp("runs"))


def test_a_fixed_decision_leaves_the_model_alone(ray_session: None, tmp_path: Path) -> None:
    plain = toy_recipe(tmp_path, "plain", "model.backbone=test_resnet", "evaluation.threshold=0.3")
    write_faces(plain, [])
    save_model(plain, tmp_path / "model", seed=0)
    before = storage.read_bytes(f"{tmp_path}/model/bundle.json")
    rule = fit(plain, str(tmp_path / "model"))
    assert rule == DecisionRule(0.3, 1.0, None, plain.evaluation.decision_criteria)
    assert storage.read_bytes(f"{tmp_path}/model/bundle.json") == before


@pytest.fixture
def fixed_model(recipe: Recipe, tmp_path: Path) -> str:
    """URI of a bundle outside the run whose rule has the threshold 0.3."""
    plain = with_evaluation(recipe, threshold=0.3)
    save_model(plain, tmp_path / "model", seed=0)
    fit(plain, str(tmp_path / "model"))
    return str(tmp_path / "model")


def test_another_fixed_threshold_replaces_the_one_before(recipe: Recipe, fixed_model: str) -> None:
    rule = fit(with_evaluation(recipe, threshold=0.7), fixed_model)
    assert (rule.threshold, rule.fitted_on) == (0.7, None)
    assert read_decision_rule(fixed_model) == rule
    assert Bundle.load(fixed_model).threshold == 0.7


def test_a_false_positive_rate_replaces_a_fixed_threshold_and_another_rate_replaces_it(
    recipe: Recipe, fixed_model: str
) -> None:
    strict = fit(with_evaluation(recipe, threshold={"fpr": 0.2}), fixed_model)
    assert strict.fitted_on.startswith("val-")
    assert strict.threshold != 0.3
    lax = fit(with_evaluation(recipe, threshold={"fpr": 0.9}), fixed_model)
    assert lax.fitted_on == strict.fitted_on
    assert lax.threshold < strict.threshold
    assert read_decision_rule(fixed_model) == lax
    again = fit(with_evaluation(recipe, threshold=0.3), fixed_model)
    assert (again.threshold, again.fitted_on) == (0.3, None)


def test_other_views_of_a_face_are_scored_and_fitted_anew(recipe: Recipe, fixed_model: str) -> None:
    plain = fit(with_evaluation(recipe, calibrate=True), fixed_model)
    seen = fit(with_evaluation(recipe, calibrate=True, views=["whole", "crops"]), fixed_model)
    assert seen.views == ("whole", "crops")
    assert (seen.temperature, seen.threshold) != (plain.temperature, plain.threshold)
    assert read_decision_rule(fixed_model) == seen
    assert Bundle.load(fixed_model).decision_rule.views == ("whole", "crops")
    assert fit(with_evaluation(recipe, calibrate=True), fixed_model) == plain


def test_a_threshold_that_is_left_open_is_the_most_accurate_one_on_validation(
    recipe: Recipe, fixed_model: str
) -> None:
    rule = fit(with_evaluation(recipe), fixed_model)
    assert rule.threshold != 0.5
    assert rule.fitted_on.startswith("val-")
    assert rule.threshold_origin == "fitted on validation: highest balanced accuracy"
    assert read_decision_rule(fixed_model) == rule
    fixed = fit(with_evaluation(recipe, threshold=0.3), fixed_model)
    assert fixed.threshold_origin == "set by the recipe"


def test_a_fitted_rule_leaves_validation_in_numbers_with_the_model(
    recipe: Recipe, fixed_model: str
) -> None:
    assert read_reference(fixed_model, read_decision_rule(fixed_model)) is None
    rule = fit(with_evaluation(recipe), fixed_model)
    reference = read_reference(fixed_model, rule)
    assert reference is not None
    assert (sum(reference.real), sum(reference.fake)) == (8, 8)
    accuracy = (1 - reference.false_alarms.value + reference.found.value) / 2
    assert accuracy >= 0.5
    low, high = reference.ranges["brightness"]
    assert 30 < low < 125 < high < 240
    other = fit(with_evaluation(recipe, threshold=0.3), fixed_model)
    assert read_reference(fixed_model, other) is None


def test_too_few_validation_videos_leave_it_at_a_half_and_the_rule_tells_why(
    recipe: Recipe, fixed_model: str
) -> None:
    """Validation has eight videos of each class."""
    rule = fit(with_evaluation(recipe, min_per_class=9), fixed_model)
    assert rule.threshold == 0.5
    assert "too few to tell: 8 real and 8 fake, of 9 videos" in rule.threshold_origin
    assert read_decision_rule(fixed_model) == rule
    enough = fit(with_evaluation(recipe, min_per_class=8), fixed_model)
    assert enough.unfitted is None
    assert read_decision_rule(fixed_model) == enough


def test_calibration_is_done_when_the_recipe_asks_for_it_and_undone_when_not(
    recipe: Recipe, fixed_model: str
) -> None:
    warm = fit(with_evaluation(recipe, threshold=0.3, calibrate=True), fixed_model)
    assert warm.temperature != 1.0
    assert warm.threshold == 0.3
    assert fit(with_evaluation(recipe, threshold=0.3), fixed_model).temperature == 1.0


def test_another_video_rule_is_stored_with_the_model(recipe: Recipe, fixed_model: str) -> None:
    assert read_decision_rule(fixed_model).video_rule == "mean"
    fit(with_evaluation(recipe, threshold=0.3, video_rule="max_of_persons"), fixed_model)
    assert Bundle.load(fixed_model).decision_rule.video_rule == "max_of_persons"


def test_metrics_compare_within_one_split_of_faces_and_one_video_rule(recipe: Recipe) -> None:
    evaluation_set = RunContext.of(recipe).evaluation_set
    name = evaluation_set.name("mean")
    assert name == f"test-{evaluation_set.faces.fingerprint('test')}-mean"
    assert evaluation_set.name("max_of_persons") != name
    on_validation = RunContext.of(with_evaluation(recipe, split="val")).evaluation_set
    assert on_validation.name("mean").startswith("val-")
