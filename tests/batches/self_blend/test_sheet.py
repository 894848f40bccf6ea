"""The contact sheet: as many faces as asked for, each as crop, real view, mask and fake."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfray import stages, storage
from dfray.batches.self_blend.sheet import GAP_PX
from dfray.config import Recipe
from dfray.errors import ManifestError, UserError
from dfray.recipe import load_recipe
from dfray.run_context import RunContext
from tests.helpers.mesh import oval_landmarks
from tests.helpers.rows import fake_row, video_row
from tests.helpers.runs import write_faces

SIDE = 48
RECIPE = f"""
name: sheet
corpora: [{{reader: folder, root: nowhere}}]
faces: {{size_px: 64, landmarks: true}}
batches: {{batch_size: 8, self_blend: {{ratios: [1.0]}}}}
model: {{backbone: test_resnet, size_px: {SIDE}}}
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """A run whose real faces are green and whose fakes red; every other has no landmarks."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "recipe.yaml").write_text(RECIPE)
    recipe = load_recipe(str(folder / "recipe.yaml"), [f"work_dir={folder}"])
    points = oval_landmarks(1)[0].numpy() * 64
    rng = np.random.default_rng(0)

    def crops(channel: int) -> list[np.ndarray]:
        images = rng.integers(0, 60, (10, 64, 64, 3), dtype=np.uint8)
        images[..., channel] += 150
        return list(images)

    write_faces(
        recipe,
        [(video_row("a"), crops(1)), (fake_row("b"), crops(0))],
        lambda _, frame: points + frame / 10 if frame % 2 else None,
    )
    return recipe


def sheet(recipe: Recipe, out: Path, **options) -> np.ndarray:
    assert stages.self_blend(RunContext.of(recipe), str(out), **options) == str(out)
    with Image.open(out) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def strips(page: np.ndarray) -> list[np.ndarray]:
    """The (S, 4 S, 3) strips of a page, row by row."""
    step_y, step_x = SIDE + GAP_PX, 4 * SIDE + GAP_PX
    return [
        page[y : y + SIDE, x : x + 4 * SIDE]
        for y in range(GAP_PX, page.shape[0] - SIDE, step_y)
        for x in range(GAP_PX, page.shape[1] - SIDE, step_x)
    ]


def test_it_shows_real_faces_and_fakes_that_differ_within_the_mask(
    recipe: Recipe, tmp_path: Path
) -> None:
    found = strips(sheet(recipe, tmp_path / "sheet.png", count=4))
    assert len(found) == 4
    for strip in found:
        crop, real, mask, fake = np.split(strip.astype(int), 4, axis=1)
        assert crop[..., 1].mean() > crop[..., 0].mean() + 50  # no fake is ever blended
        assert (mask[SIDE // 2, SIDE // 2] == 255).all()
        assert (mask[0, 0] == 0).all()
        assert np.array_equal(real[mask == 0], fake[mask == 0])
        assert (real != fake).any(axis=-1)[mask[..., 0] == 255].mean() > 0.5
    assert len({strip.tobytes() for strip in found}) == 4


def test_the_seed_chooses_faces_and_blending(recipe: Recipe, tmp_path: Path) -> None:
    first, again, other = (
        sheet(recipe, tmp_path / "sheet.png", count=4, seed=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_it_ends_with_the_faces_that_there_are(recipe: Recipe, tmp_path: Path) -> None:
    found = strips(sheet(recipe, tmp_path / "sheet.png", count=40))
    filled = [strip for strip in found if strip[:, : 4 * SIDE].std() > 0]
    assert len(filled) == 5


def test_it_may_lie_in_a_bucket(recipe: Recipe, bucket: str) -> None:
    stages.self_blend(RunContext.of(recipe), f"{bucket}/sheet.png", count=2)
    image = Image.open(io.BytesIO(storage.read_bytes(f"{bucket}/sheet.png")))
    assert image.size == (2 * 4 * SIDE + 3 * GAP_PX, SIDE + 2 * GAP_PX)


def test_another_kind_of_file_is_refused(recipe: Recipe) -> None:
    with pytest.raises(UserError, match=r"sheet\.jpg does not end in \.png"):
        stages.self_blend(RunContext.of(recipe), "sheet.jpg")


def test_a_run_without_faces_says_which_command_makes_them(recipe: Recipe, tmp_path: Path) -> None:
    elsewhere = recipe.model_copy(update={"work_dir": str(tmp_path)})
    with pytest.raises(UserError, match="Run `dfray manifest build`"):
        stages.self_blend(RunContext.of(elsewhere), "sheet.png")
    write_faces(elsewhere, [])
    with pytest.raises(UserError, match="Run `dfray extract`"):
        stages.self_blend(RunContext.of(elsewhere), "sheet.png")


def test_faces_without_landmarks_say_what_is_missing(recipe: Recipe, tmp_path: Path) -> None:
    bare = recipe.faces.model_copy(update={"landmarks": False})
    elsewhere = recipe.model_copy(update={"work_dir": str(tmp_path), "faces": bare})
    images = [np.zeros((64, 64, 3), np.uint8)]
    write_faces(elsewhere, [(video_row("a"), images)])
    with pytest.raises(ManifestError, match=r"no real face with landmarks.*faces\.landmarks: true"):
        stages.self_blend(RunContext.of(elsewhere), "sheet.png")
