"""Checks of corpora, classes and faces, on manifests and stores of a few rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfray.checks import Subject
from dfray.checks.suite import CHECKS
from dfray.config import Recipe
from dfray.datasets.manifest import Manifest
from dfray.recipe import load_recipe
from dfray.run_context import RunContext
from tests.helpers.rows import fake_row, video_row, videos_table, write_store
from tests.helpers.toy import toy_recipe

NAMED = {check.name: check for check in CHECKS}
TWO_SPLITS = [
    make(f"{split}-{number}", split=split, uri=f"/videos/{split}-{number}-{make.__name__}.mp4")
    for split in ("train", "val")
    for number in range(2)
    for make in (video_row, fake_row)
]


def subject_of(recipe: Recipe, rows: list[dict] = TWO_SPLITS) -> Subject:
    manifest = Manifest(videos_table(rows))
    return Subject(RunContext.of(recipe), lambda _: manifest)


def found(name: str, subject: Subject) -> list[str]:
    return [str(finding) for finding in NAMED[name].findings(subject)]


def test_every_root_that_is_not_there_is_named(tmp_path: Path) -> None:
    corpora = (
        "corpora=[{reader: folder, root: first}, {reader: csv, root: second.csv}, {reader: demo}]"
    )
    recipe = load_recipe("demo", [f"work_dir={tmp_path}", corpora])
    first, second = found("corpora", Subject(RunContext.of(recipe)))
    assert first.startswith("corpora.0.root: there is no first.")
    assert second.startswith("corpora.1.root: there is no second.csv.")


def test_a_corpus_that_contradicts_itself_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    recipe = toy_recipe(tmp_path / "runs", "toy", f"corpora.0.root={tmp_path}/empty")
    (sentence,) = found("corpora", Subject(RunContext.of(recipe)))
    assert "empty" in sentence
    assert not (tmp_path / "runs").exists()


def test_the_demos_clips_are_not_drawn_for_a_check(tmp_path: Path) -> None:
    recipe = load_recipe("demo", [f"work_dir={tmp_path}"])
    assert found("corpora", Subject(RunContext.of(recipe))) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("left_out", "sentences"),
    [
        (None, []),
        (("train", 0), ["Split train has no real video."]),
        (("val", 1), ["Split val has no fake video."]),
    ],
)
def test_a_split_without_a_class_is_named(tmp_path, left_out, sentences) -> None:
    rows = [row for row in TWO_SPLITS if (row["split"], row["label"]) != left_out]
    findings = found("classes", subject_of(toy_recipe(tmp_path), rows))
    assert [sentence.split(" Training")[0] for sentence in findings] == sentences


def test_every_split_without_a_class_is_named_at_once(tmp_path: Path) -> None:
    rows = [row for row in TWO_SPLITS if row["label"] == 0]
    assert len(found("classes", subject_of(toy_recipe(tmp_path), rows))) == 2


def test_self_blending_needs_no_fakes(tmp_path: Path) -> None:
    rows = [row for row in TWO_SPLITS if row["label"] == 0]
    blends = ["faces.landmarks=true", "batches.self_blend={}"]
    assert found("classes", subject_of(toy_recipe(tmp_path, "toy", *blends), rows)) == []


def test_pairs_without_a_source_are_a_finding(tmp_path: Path) -> None:
    paired = toy_recipe(tmp_path, "toy", "batches.pairing=source")
    (sentence,) = found("pairs", subject_of(paired))
    assert "no fake video of split train has the video it was made from in it" in sentence
    rows = [row | {"source_video": "toy/camera/train-0"} for row in TWO_SPLITS]
    assert found("pairs", subject_of(paired, rows)) == []
    assert found("pairs", subject_of(toy_recipe(tmp_path))) == []


def test_a_scheme_of_labels_that_the_videos_lack_is_a_finding(tmp_path: Path) -> None:
    (sentence,) = found(
        "classes", subject_of(toy_recipe(tmp_path, "toy", "batches.labels=dataset"))
    )
    assert "batches.labels: dataset needs fakes of two datasets" in sentence


def test_fewer_faces_than_a_batch_are_expected_from_durations(tmp_path: Path) -> None:
    assert found("batch", subject_of(toy_recipe(tmp_path, "toy", "batches.batch_size=8"))) == []
    (sentence,) = found("batch", subject_of(toy_recipe(tmp_path, "toy", "batches.batch_size=10")))
    assert "about 8 faces (expected from durations; 8 videos are not yet extracted)" in sentence
    assert "less than a batch of 10" in sentence


def store_uri(subject: Subject) -> str:
    return subject.run.faces_of(subject.manifest.videos).uri


def test_stored_faces_are_counted_for_the_batch(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, "toy", "batches.batch_size=10")
    subject = subject_of(recipe)
    crops = [np.zeros((32, 32, 3), np.uint8)] * 2
    write_store(store_uri(subject), [(row, crops) for row in TWO_SPLITS], recipe.faces)
    (sentence,) = found("batch", subject)
    assert "has 8 faces (of the extracted faces), less than a batch of 10" in sentence


def test_a_store_of_another_version_that_lacks_videos_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = toy_recipe(tmp_path)
    subject = subject_of(recipe)
    crops = [np.zeros((32, 32, 3), np.uint8)]
    write_store(store_uri(subject), [(row, crops) for row in TWO_SPLITS[:-1]], recipe.faces)
    assert found("faces", subject) == []
    monkeypatch.setattr("dfray.faces.shards.FACES_VERSION", 99)
    (sentence,) = found("faces", subject)
    assert "lack 1 of the manifest's videos" in sentence


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("validation datasets", "search.metric=auc"),
        ("selection", "training.selection=auc"),
        ("selection", "training.selection=average_precision"),
    ],
)
def test_validation_without_a_dataset_of_both_classes_has_no_metric_to_go_by(
    tmp_path: Path, name: str, change: str
) -> None:
    recipe = toy_recipe(tmp_path, "toy", change)
    assert found(name, subject_of(recipe)) == []
    apart = [row | {"dataset": f"{row['dataset']}-{row['label']}"} for row in TWO_SPLITS]
    (sentence,) = found(name, subject_of(recipe, apart))
    assert "No dataset of split val has real and fake videos" in sentence
    by_loss = toy_recipe(tmp_path, "toy", "training.selection=objective")
    assert name == "validation datasets" or found(name, subject_of(by_loss, apart)) == []
