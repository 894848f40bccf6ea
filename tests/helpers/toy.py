"""A toy problem that trains in seconds: bright faces are fake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from dfray.config import FacesSection, Recipe
from dfray.datasets.manifest import Manifest, write_manifest
from dfray.recipe import load_recipe
from dfray.run_folder import RunFolder
from tests.helpers.rows import fake_row, video_row, videos_table, write_store

FACES = FacesSection(size_px=32)
TOY = str(Path(__file__).parent / "toy.yaml")


def toy_recipe(work_dir: Path | str, name: str = "toy", *overrides: str) -> Recipe:
    """resnet10t on 32 px, two workers, batches of 16, nothing random but the seed."""
    return load_recipe(TOY, [*toy_words(work_dir, name), *overrides])


def toy_words(work_dir: Path | str, name: str = "toy") -> list[str]:
    """The overrides that give the toy its place; its videos are listed in `work_dir`/videos.csv."""
    corpora = f"corpora=[{{reader: csv, root: {work_dir}/videos.csv, dataset: toy}}]"
    return [f"work_dir={work_dir}", f"name={name}", corpora]


def toy_videos(videos: int = 24, faces: int = 6) -> list[tuple[dict, list[np.ndarray]]]:
    """Rows of VIDEOS with noisy crops of each; fakes (FS and RE) are brighter."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(videos):
        make = fake_row if i % 2 else video_row
        kind = {"category": "FS" if i % 4 == 1 else "RE"} if i % 2 else {}
        video = make(f"{i:03d}", split="train" if i % 3 else "val", **kind)
        level = 150 if i % 2 else 90
        crops = rng.normal(level, 40, (faces, 32, 32, 3)).clip(0, 255).astype(np.uint8)
        rows.append((video, list(crops)))
    return rows


def write_toy_faces(recipe: Recipe, videos: int = 24, faces: int = 6) -> pa.Table:
    """Write manifest and faces of `toy_videos` into a plain run folder; return the SUMMARIES."""
    rows, folder = toy_videos(videos, faces), RunFolder(recipe)
    write_manifest(Manifest(videos_table([video for video, _ in rows])), folder.manifest)
    return write_store(folder.faces, rows, recipe.faces).summaries()
