"""A search over the toy problem: its faces are written, so that trials are all there is to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dfray.config import Recipe
from dfray.recipe import load_recipe
from dfray.run_context import RunContext
from dfray.run_folder import RunFolder
from tests.helpers.rows import fake_row, video_row
from tests.helpers.runs import write_run
from tests.helpers.toy import TOY, toy_words

SMALL = [
    "training={num_workers: 1, epochs: 3, lr: 1.0e-3, warmup_epochs: 1}",
    "search={trials: 3, grace_epochs: 1, reduction_factor: 2, finalists: 1, seeds: 2, max_concurrent: 1}",
]


def words(work_dir: Path | str, *overrides: str) -> list[str]:
    """The recipe's name and overrides, as `dfray search` takes them."""
    return [TOY, *toy_words(work_dir), *SMALL, *overrides]


def recipe_of(work_dir: Path | str, *overrides: str) -> Recipe:
    name, *arguments = words(work_dir, *overrides)
    return load_recipe(name, arguments)


def searched_recipe(work_dir: Path | str, *overrides: str) -> Recipe:
    """The toy's recipe, its manifest and faces written: 24 videos of train and val, 8 of test."""
    recipe = recipe_of(work_dir, *overrides)
    rng, rows = np.random.default_rng(0), []
    for number in range(32):
        fake = number % 2 == 1
        split = "test" if number >= 24 else "val" if number % 3 == 0 else "train"
        video = (fake_row if fake else video_row)(f"{number:03d}", split=split)
        level = rng.normal(140 if fake else 110, 30)  # some videos deceive, so that trials differ
        crops = rng.normal(level, 40, (6, 32, 32, 3)).clip(0, 255).astype(np.uint8)
        rows.append((video, list(crops)))
    write_run(recipe, rows)
    return recipe


def source_of(recipe: Recipe) -> RunFolder:
    """Return the place of faces and manifest that the trials of a search of the recipe read."""
    run = RunContext.of(recipe)
    return RunFolder(recipe, faces=run.folder.faces, manifest=run.runs.manifest)
