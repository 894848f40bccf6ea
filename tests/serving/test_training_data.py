"""What a bundle says of its model's training, by recipes of this dfray and of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dfray.serving.training_data import TrainingData, of_bundle, of_version
from tests.helpers.evaluated import save_model
from tests.helpers.toy import toy_recipe


def bundle_of(folder: Path, corpora: list[dict[str, Any]]) -> str:
    """Return the URI of a bundle whose recipe has these corpora, as another dfray wrote them."""
    save_model(toy_recipe(folder, "other", "model.backbone=test_resnet"), folder, seed=0)
    file = folder / "bundle.json"
    description = json.loads(file.read_text())
    description["recipe"]["corpora"] = corpora
    file.write_text(json.dumps(description))
    return str(folder)


def test_datasets_are_named_as_in_manifests_without_those_that_are_only_tested_on(tmp_path: Path):
    corpora = [
        {"reader": "ffpp", "root": "/a"},
        {"reader": "celeb_df", "root": "/b", "only": ["test"]},
        {"reader": "csv", "root": "/c", "dataset": "mine", "since": "another dfray"},
        {"reader": "of_another_dfray", "root": "/d"},
    ]
    found = of_bundle(bundle_of(tmp_path, corpora))
    assert found.datasets == ["ff++", "mine", "of_another_dfray"]
    assert found.words == "training videos of ff++, mine, of_another_dfray"


def test_a_recipe_without_corpora_and_a_detector_that_is_no_version_tell_nothing(tmp_path: Path):
    assert of_bundle(bundle_of(tmp_path, [])) == TrainingData()
    assert of_version("scores of a stranger", f"sqlite:///{tmp_path}/mlflow.db") == TrainingData()
