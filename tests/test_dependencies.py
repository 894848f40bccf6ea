"""A result lies under the key of what it depends on, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
import timm

from dfray import dependencies
from dfray.config import ModelSection, Recipe
from dfray.models.network import former_pool
from tests.helpers.rows import fake_row, video_row, videos_table
from tests.helpers.toy import toy_recipe

ROWS = [video_row("a"), fake_row("b"), video_row("c", split="val"), video_row("d", split="test")]


def videos(*changed: dict) -> pa.Table:
    return videos_table([*ROWS[: len(ROWS) - len(changed)], *changed])


def recipe(*overrides: str) -> Recipe:
    return toy_recipe("runs", "toy", *overrides)


def training(*overrides: str, table: pa.Table | None = None) -> dependencies.Dependencies:
    return dependencies.of_training(recipe(*overrides), videos() if table is None else table)


@pytest.mark.parametrize(
    "override",
    [
        "name=other",
        "description=another",
        "work_dir=elsewhere",
        "cluster.num_cpus=3",
        "faces.shard_mb=7",
        "training.num_workers=1",
        "training.max_failures=9",
        "evaluation.threshold=0.3",
        "registry.gates.min_auc=0.9",
        "registry.model_name=other",
        "search.trials=99",
    ],
)
def test_a_training_does_not_depend_on(override: str) -> None:
    assert training(override).key == training().key


@pytest.mark.parametrize(
    "override",
    ["seed=8", "training.lr=0.5", "faces.rate_fps=3", "model.size_px=64", "augment.flip=1"],
)
def test_a_training_depends_on(override: str) -> None:
    key, _, value = override.partition("=")
    assert training(override).key != training().key
    (change,) = training(override).changes(training().values)
    assert change.startswith(f"{key} ")
    assert float(change.rpartition("-> ")[2]) == float(value)


def test_a_training_depends_on_the_videos_of_train_and_val_alone() -> None:
    added = videos_table([*ROWS, video_row("e", split="test")])
    assert training(table=added).key == training().key
    moved = videos_table([ROWS[0] | {"uri": "/elsewhere/a.mp4"}, *ROWS[1:]])
    assert training(table=moved).changes(training().values) == ["train videos"]
    shuffled = videos_table(ROWS[::-1])
    assert training(table=shuffled).key == training().key


def test_faces_depend_on_their_settings_and_on_no_video() -> None:
    assert training().of_faces() == dependencies.of_faces(recipe())
    assert dependencies.of_faces(recipe("faces.margin_ratio=1.5")).changes(
        dependencies.of_faces(recipe()).values
    ) == ["faces.margin_ratio 1.3 -> 1.5"]


def test_faces_depend_on_their_number_and_on_how_they_are_cut() -> None:
    changed = recipe("faces={frames: 32, keep: largest, align: five_points, size_px: 32}")
    assert dependencies.of_faces(changed).changes(dependencies.of_faces(recipe()).values) == [
        'faces.align null -> "five_points"',
        "faces.frames null -> 32",
        'faces.keep null -> "largest"',
        "faces.rate_fps 1.0 -> null",
    ]


def test_a_detectors_file_counts_by_its_content(tmp_path: Path) -> None:
    keys = []
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
        keys.append(dependencies.of_faces(recipe(f"faces.detector_model={tmp_path}/{name}")).key)
    assert keys[0] == keys[1] != keys[2]


def test_figures_depend_on_the_evaluation_and_the_videos_measured() -> None:
    before = dependencies.of_figures(recipe(), videos())
    changed = dependencies.of_figures(recipe("evaluation.confidence=0.9"), videos())
    assert changed.changes(before.values) == ["evaluation.confidence 0.95 -> 0.9"]
    assert dependencies.of_figures(recipe("evaluation.batch_size=7"), videos()) == before
    fewer = dependencies.of_figures(recipe(), videos_table(ROWS[:3]))
    assert fewer.changes(before.values) == ["test videos"]


def test_figures_depend_on_stated_attributes_and_a_training_does_not() -> None:
    plain, stated = (
        videos_table([*ROWS[:-1], ROWS[-1] | {"attributes": text}])
        for text in (None, '{"age": "old"}')
    )
    assert dependencies.of_training(recipe(), stated) == dependencies.of_training(recipe(), plain)
    split = ROWS[-1]["split"]
    changes = dependencies.of_figures(recipe(), stated).changes(
        dependencies.of_figures(recipe(), plain).values
    )
    assert changes == [f"{split} videos"]


def test_a_version_depends_on_its_name_and_a_decision_on_the_gates() -> None:
    figures = dependencies.of_figures(recipe(), videos())
    version = dependencies.of_registration(recipe(), figures, "sqlite:///a")
    renamed = dependencies.of_registration(recipe("registry.model_name=b"), figures, "sqlite:///a")
    assert renamed.changes(version.values) == ['registry.model_name "deepfake-detector" -> "b"']
    gates = dependencies.of_promotion(recipe("registry.gates.min_auc=0.9"), version)
    assert gates.changes(dependencies.of_promotion(recipe(), version).values) == [
        "registry.gates.min_auc 0.5 -> 0.9"
    ]


def test_the_key_of_a_training_changes_on_purpose_only() -> None:
    """A new key of a recipe makes every stored training stale: leave it out while it has no effect."""
    assert training().key == "b9ecc4755ae6"


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_file_that_was_overwritten_makes_the_results_of_its_split_stale(split: str) -> None:
    first, second = (
        videos(*ROWS[:-1], video_row("d", split=split, content=content))
        for content in ("7-1", "7-2")
    )
    changes = dependencies.of_training(recipe(), second).changes(
        dependencies.of_training(recipe(), first).values
    )
    assert changes == (["train videos"] if split == "train" else [])
    changes = dependencies.of_figures(recipe(), second).changes(
        dependencies.of_figures(recipe(), first).values
    )
    assert changes == (["test videos"] if split == "test" else [])


def test_another_time_of_the_same_content_changes_nothing() -> None:
    table = videos(video_row("d", split="test", stamp="7-2"))
    assert training(table=table).key == training().key


MEAN_OF_PATCHES = {"backbone": "vit_base_patch16_224", "weights": "timm", "pool": "avg"}
SIGLIP = {"backbone": "vit_base_patch16_siglip_224", "weights": "timm"}
FS_VFM = {"weights": "/models/FS-VFM_ViT-S/checkpoint.pth", "weights_layout": "fsfm"}


@pytest.mark.parametrize(
    ("model", "pool", "heads"),
    [
        ({"backbone": "vit_base_patch16_224"}, None, None),
        (MEAN_OF_PATCHES, None, None),  # what `pool: null` of these weights stood for
        ({**MEAN_OF_PATCHES, "pool": "token"}, "token", None),
        ({**MEAN_OF_PATCHES, "pool": None}, "token", None),
        (SIGLIP, "map", None),
        ({**FS_VFM, "backbone": "vit_small_patch16_224"}, None, 12),
        ({"backbone": "vit_small_patch16_224", "num_heads": 12}, None, 12),
        ({"weights": "hf://Wolowolo/fsfm-3c", "weights_layout": "fsfm"}, None, None),
        (
            {"backbone": "vit_large_patch14_clip_quickgelu_224.openai", "weights": "timm"},
            None,
            None,
        ),
    ],
)
def test_a_training_is_found_by_the_network_that_it_trained(
    model: dict, pool: str | None, heads: int | None
) -> None:
    """Once, a plain ViT had the mean of its patches and timm's heads, whatever its weights had."""
    overrides = [
        f"model.{key}={'null' if value is None else value}" for key, value in model.items()
    ]
    values = training(*overrides).values
    assert values["model.pool"] == pool
    assert values.get("model.num_heads") == heads


def test_a_younger_key_at_its_default_is_no_dependency() -> None:
    blend = ("batches.self_blend={rgb: 0.1}", "faces.landmarks=true")
    assert "batches.self_blend.pair_shift" not in training(*blend).values
    shifted = training("batches.self_blend={rgb: 0.1, pair_shift: {}}", blend[1]).values
    assert shifted["batches.self_blend.pair_shift.probability"] == 0.3


def test_every_plain_vit_of_timm_is_looked_at_for_its_network() -> None:
    plain = [name for name in timm.list_models() if former_pool(ModelSection(backbone=name))]
    assert len(plain) > 100
    assert [name for name in plain if not name.startswith(dependencies.PLAIN_VITS)] == []


def test_a_network_that_cannot_be_built_is_left_to_the_checks() -> None:
    values = training("model.backbone=vit_tiny_patch16_225", "model.weights=timm").values
    assert values["model.backbone"] == "vit_tiny_patch16_225"
