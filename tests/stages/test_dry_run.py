"""`dfray train --dry-run`: the plan of a training, with nothing done and nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfray import stages
from dfray.config import BatchesSection, CorpusSection, Recipe
from dfray.errors import RecipeError
from dfray.recipe import load_recipe
from dfray.render.training import show_training_plan
from dfray.run_context import RunContext
from tests.helpers.corpus import write_corpus
from tests.helpers.rows import fake_row, video_row
from tests.helpers.runs import write_run

SPLITS = ("train", "train", "val", "test")
SMALL = {"backbone": "test_resnet", "size_px": 32}


def recipe(folder: Path, **sections: object) -> Recipe:
    return Recipe(
        name="small",
        work_dir=str(folder / "runs"),
        corpora=[CorpusSection(reader="folder", root=str(folder / "corpus"), dataset="toy")],
        batches={"batch_size": 4},
        **{"model": SMALL} | sections,
    )


def test_a_sample_is_expected_from_the_durations(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus", 8, splits=SPLITS)
    plan = stages.plan_training(RunContext.of(recipe(tmp_path)))
    assert set(plan.sample) == {"train", "val"}
    real, fake = plan.sample["train"]
    assert real > 0
    assert fake > 0
    assert plan.estimate.steps_per_epoch == (real + fake) // 4
    assert "8 videos are not yet extracted" in plan.source
    assert not (tmp_path / "runs").exists()


def test_what_the_manifest_leaves_out_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path / "corpus", 8, splits=SPLITS)
    (tmp_path / "corpus/notes.txt").touch()
    show_training_plan(stages.plan_training(RunContext.of(recipe(tmp_path))))
    assert "manifest      1 .txt of toy is left out: no video" in capsys.readouterr().out


def test_extracted_faces_are_counted(tmp_path: Path) -> None:
    planned = recipe(tmp_path)
    videos = [
        make(f"{split}-{make.__name__}", split=split)
        for split in ("train", "val")
        for make in (video_row, fake_row)
    ]
    crops = [np.zeros((32, 32, 3), np.uint8)] * 6
    listed = [CorpusSection(reader="csv", root=f"{tmp_path}/videos.csv", dataset="toy")]
    planned = planned.model_copy(update={"corpora": listed})
    write_run(planned, [(video, crops) for video in videos])
    plan = stages.plan_training(RunContext.of(planned))
    assert plan.sample == {"train": (6, 6), "val": (6, 6)}
    assert plan.source == "of the extracted faces"
    assert plan.cpus == {"train workers": 1}


def test_self_blending_counts_real_faces_and_as_many_fakes(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus", 8, splits=SPLITS)
    real, _ = stages.plan_training(RunContext.of(recipe(tmp_path))).sample["train"]
    blending = {"batches": {"batch_size": 4, "self_blend": {}}, "faces": {"landmarks": True}}
    planned = Recipe.model_validate(recipe(tmp_path).model_dump() | blending)
    plan = stages.plan_training(RunContext.of(planned))
    assert plan.sample["train"] == (real, real)
    assert plan.estimate.steps_per_epoch == real // 2


def test_a_corpus_that_is_not_there_leaves_the_counts_open(tmp_path: Path) -> None:
    plan = stages.plan_training(RunContext.of(recipe(tmp_path)))
    assert plan.sample == {}
    assert plan.source.startswith("not known: ")
    assert plan.estimate.seconds is None


def test_the_schedule_is_printed_even_then(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = {"epochs": 7, "lr": 3e-4, "min_lr": 2e-6, "warmup_epochs": 1.5}
    show_training_plan(stages.plan_training(RunContext.of(recipe(tmp_path, training=training))))
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("schedule")]
    assert line.split(maxsplit=1)[1] == (
        "7 epochs in batches of 4 faces; lr up to 0.0003 over 1.5 epochs, then down to 2e-06 along a "
        "cosine"
    )


def test_the_demos_clips_are_counted_without_being_drawn(tmp_path: Path) -> None:
    people = "demo={train_identities: 3, val_identities: 2, test_identities: 2, datasets: 2}"
    planned = load_recipe("twin-fsfm-dataset", [f"work_dir={tmp_path}/runs", people])
    plan = stages.plan_training(RunContext.of(planned))
    faces = 2 * 8  # of each person: two clips of 2.5 s at 3 a second
    assert plan.sample == {"train": (3 * faces, 3 * faces), "val": (2 * faces, 2 * faces)}
    assert plan.class_names == ("real", "fake:demo-1", "fake:demo-2")
    assert "28 videos are not yet extracted" in plan.source
    assert list(tmp_path.iterdir()) == []


def test_corpora_beside_the_demos_are_counted_too(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus", 8, splits=SPLITS)
    people = {"train_identities": 2, "val_identities": 2, "test_identities": 2}
    folder = recipe(tmp_path)
    corpora = [*folder.model_dump()["corpora"], {"reader": "demo"}]
    with_demo = Recipe.model_validate(folder.model_dump() | {"corpora": corpora, "demo": people})
    without_demo = stages.plan_training(RunContext.of(folder)).sample["train"]
    assert stages.plan_training(RunContext.of(with_demo)).sample["train"] == tuple(
        n + 2 * 2 * 3 for n in without_demo
    )


def test_a_network_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="resnet10"):
        stages.plan_training(RunContext.of(recipe(tmp_path, model={"backbone": "resnet10"})))


def test_the_classes_are_the_schemes_even_before_a_corpus_is_there(tmp_path: Path) -> None:
    classes_of = {
        scheme: stages.plan_training(
            RunContext.of(
                recipe(tmp_path).model_copy(update={"batches": BatchesSection(labels=scheme)})
            )
        ).class_names
        for scheme in ("binary", "category", "dataset")
    }
    assert classes_of == {
        "binary": ("real", "fake"),
        "category": ("real", "FS", "RE"),
        "dataset": ("real", "fake:toy"),
    }


def test_the_cpus_of_the_stream_are_counted(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus", 8, splits=SPLITS)
    batches = {"batch_size": 4, "stream_first_epoch": True}
    training = {"num_workers": 2, "cpus_per_worker": 3, "use_gpu": True}
    streamed = Recipe.model_validate(
        recipe(tmp_path).model_dump() | {"batches": batches, "training": training}
    )
    plan = stages.plan_training(RunContext.of(streamed))
    assert plan.cpus == {"train workers": 6, "extraction": 1}
    assert plan.gpus == 2


def test_every_need_has_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_corpus(tmp_path / "corpus", 8, splits=SPLITS)
    show_training_plan(stages.plan_training(RunContext.of(recipe(tmp_path))))
    lines = [line.split("  ")[0].strip() for line in capsys.readouterr().out.splitlines()]
    needs = (
        "model",
        "parameters",
        "classes",
        "train sample",
        "schedule",
        "steps",
        "memory",
        "on GPUs",
        "CPUs",
        "GPUs",
    )
    for name in (*needs, "time"):
        assert any(line.startswith(name) for line in lines), name


def test_what_a_pretrained_network_loses_is_printed_before_anything_is_spent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path / "corpus", 8, splits=SPLITS)
    model = {"backbone": "vit_base_patch16_siglip_224.v2_webli", "weights": "timm", "pool": "avg"}
    show_training_plan(stages.plan_training(RunContext.of(recipe(tmp_path, model=model))))
    told = " ".join(capsys.readouterr().out.split())
    assert "pretrained 12 attention heads" in told
    assert "pool avg in place of timm's map; lost: attn_pool.* (13), norm.* (2); random" in told
