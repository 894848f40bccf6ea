"""The demo's corpus, made once for all tests of how it behaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray import stages
from dfray.config import Recipe
from dfray.demo import generate_clips
from dfray.faces.shards import FacesStore
from dfray.recipe import load_recipe
from dfray.run_context import RunContext


@pytest.fixture(scope="session")
def demo_recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return load_recipe("demo", [f"work_dir={tmp_path_factory.mktemp('runs')}"])


@pytest.fixture(scope="session")
def demo_clips(demo_recipe: Recipe) -> Path:
    """The folder of all of the demo's clips."""
    assert demo_recipe.demo is not None
    folder = demo_recipe.corpora[0].root
    return Path(generate_clips(folder, demo_recipe.demo, demo_recipe.seed))


@pytest.fixture(scope="module")
def demo_faces(demo_recipe: Recipe, demo_clips: Path, ray_session: None) -> FacesStore:
    """The faces of all of the demo's clips, as the demo extracts them."""
    run = RunContext.of(demo_recipe)
    stages.extract(run)
    return run.faces
