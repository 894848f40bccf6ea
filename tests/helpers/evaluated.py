"""A run of noisy faces with a model that was never trained, to be evaluated and registered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from dfray.config import Recipe
from dfray.evaluation.measure import fit_decision_rule
from dfray.models.backbone import build_detector
from dfray.models.bundle import Bundle
from dfray.models.bundle_description import DecisionRule
from dfray.models.preprocess import Preprocess
from dfray.run_context import RunContext
from tests.helpers.rows import fake_row, video_row
from tests.helpers.runs import write_faces
from tests.helpers.toy import toy_recipe

CRITERIA = (
    "evaluation.threshold={fpr: 0.2}",
    "evaluation.calibrate=true",
    "evaluation.video_rule=max_of_persons",
    "evaluation.post_processing=[noise]",
    "model.backbone=test_resnet",
)


def untrained_run(folder: Path) -> Recipe:
    """Write faces of every split and a model with random weights; return the run's recipe."""
    recipe = toy_recipe(folder, "toy", *CRITERIA)
    rng, rows = np.random.default_rng(0), []
    for number in range(48):
        make = fake_row if number % 2 else video_row
        video = make(f"{number:03d}", split=("train", "val", "test")[number % 3])
        level = rng.normal(140 if number % 2 else 110, 25)
        crops = rng.normal(level, 30, (4, 32, 32, 3)).clip(0, 255).astype(np.uint8)
        rows.append((video, list(crops)))
    write_faces(recipe, rows)
    run = RunContext.of(recipe)
    run.claim()
    save_model(recipe, Path(run.folder.model), seed=0)
    return recipe


def save_model(recipe: Recipe, folder: Path, seed: int) -> None:
    """Write a bundle with random weights."""
    torch.manual_seed(seed)
    Bundle(
        detector=build_detector(recipe.model, 2),
        preprocess=Preprocess(recipe.model),
        recipe=recipe.model_dump(mode="json"),
        class_names=("real", "fake"),
        threshold=recipe.evaluation.fixed_threshold,
        faces=recipe.faces.model_dump(mode="json"),
    ).save(folder)


def with_evaluation(recipe: Recipe, **evaluation) -> Recipe:
    """Return the recipe with another evaluation section; keys that are not given have their defaults."""
    values = recipe.model_dump(mode="json") | {"evaluation": evaluation}
    return Recipe.model_validate(values)


def fit(recipe: Recipe, bundle_uri: str) -> DecisionRule:
    """Fit the bundle's decision rule on the recipe's run."""
    return fit_decision_rule(RunContext.of(recipe).evaluation_set, bundle_uri)
