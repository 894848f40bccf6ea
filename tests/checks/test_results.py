"""Checks of what earlier stages have left, and the dry runs of the stages after training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dfray import storage
from dfray.checks import Stage, Subject, find_problems
from dfray.config import Recipe
from dfray.run_context import RunContext
from tests.helpers.runs import write_run
from tests.helpers.toy import toy_recipe, toy_videos

RULE = {"threshold": 0.5}


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    recipe = toy_recipe(tmp_path, "mine", "evaluation.split=val")
    write_run(recipe, toy_videos(videos=4, faces=1))
    return recipe


def problems(recipe: Recipe, stage: Stage, *overrides: str) -> dict[str, str]:
    run = RunContext.of(
        toy_recipe(recipe.work_dir, recipe.name, "evaluation.split=val", *overrides)
    )
    return {found.check: str(found) for found in find_problems(Subject.as_listed(run), stage)}


def with_model(recipe: Recipe) -> RunContext:
    """Return the run with a file in the place of its model."""
    run = RunContext.of(recipe)
    run.claim()
    storage.write_bytes(b"{}", f"{run.folder.model}/bundle.json")
    run.folder.update_state(replace(run.folder.state(), history=[]))
    return run


def test_a_model_that_is_not_trained_is_a_finding(recipe: Recipe) -> None:
    for stage, check in (("evaluate", "model"), ("register", "figures")):
        assert "no model/bundle.json yet" in problems(recipe, stage)[check]
    with_model(recipe)
    assert problems(recipe, "evaluate") == {}
    changed = problems(recipe, "evaluate", "training.lr=0.1")["model"]
    assert "training.lr 0.001 -> 0.1" in changed


def test_videos_without_faces_in_a_measured_split_are_a_finding(recipe: Recipe) -> None:
    with_model(recipe)
    found = problems(recipe, "evaluate", "faces.rate_fps=3")["measured faces"]
    assert found.startswith("2 videos of val have no faces yet. Run `dfray extract`")


def test_figures_that_are_missing_are_a_finding(recipe: Recipe) -> None:
    with_model(recipe)
    assert "no evaluation/metrics.json yet" in problems(recipe, "register")["figures"]


def test_a_name_and_a_gate_are_looked_at_before_a_registration_and_a_promotion(
    recipe: Recipe,
) -> None:
    assert (
        "is no name that MLflow accepts"
        in problems(recipe, "register", "registry.model_name=a/b")["model name"]
    )
    assert (
        "registry.gates.min_videos: 9 are required"
        in problems(recipe, "promote", "registry.gates.min_videos=9")["gates"]
    )
