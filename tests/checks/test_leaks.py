"""Checks of leaks: what is in training and in test at once is refused, whatever it is called."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from dfray.checks import Subject, find_problems
from dfray.checks.suite import CHECKS, Stage
from dfray.datasets.manifest import Manifest
from dfray.recipe import load_recipe
from dfray.run_context import RunContext
from tests.helpers.rows import video_row, videos_table
from tests.helpers.runs import write_faces
from tests.helpers.toy import TOY, toy_recipe
from tests.helpers.videos import write_video

NAMED = {check.name: check for check in CHECKS}


@pytest.fixture
def corpora(tmp_path: Path) -> Path:
    """Corpus `first`, to be trained on, and `second`, to be tested on; the same but for their names."""
    for number, split in enumerate(("train", "val", "train", "val")):
        kind = "real" if number < 2 else "FS"
        clip = tmp_path / f"first/{split}/{kind}/clip{number}.mp4"
        write_video(clip, frames=5 + number)
        other = tmp_path / f"second/test/{kind}/another-{number}.mp4"
        other.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clip, other)
    return tmp_path


def subject_of(folder: Path) -> Subject:
    roots = ", ".join(f"{{reader: folder, root: {folder}/{name}}}" for name in ("first", "second"))
    words = [f"work_dir={folder}/runs", f"corpora=[{roots}]"]
    return Subject(RunContext.of(load_recipe(TOY, words)))


def found(folder: Path) -> list[str]:
    return [str(finding) for finding in NAMED["equal files"].findings(subject_of(folder))]


def test_copies_in_training_and_in_test_are_refused_and_named(corpora: Path) -> None:
    (sentence,) = found(corpora)
    assert sentence.startswith("4 group(s) of files of equal bytes are in training (train or val)")
    assert "first/real/clip0 (train) = second/real/another-0 (test)" in sentence
    assert "remove one of each" in sentence


@pytest.mark.parametrize("stage", ["extract", "train", "search", "run"])
def test_every_stage_that_extracts_or_trains_refuses_them(corpora: Path, stage: Stage) -> None:
    problems = {finding.check for finding in find_problems(subject_of(corpora), stage)}
    assert "equal files" in problems


def test_distinct_files_and_copies_within_one_split_are_let_through(corpora: Path) -> None:
    for number, clip in enumerate(sorted((corpora / "second").rglob("*.mp4"))):
        write_video(clip, frames=20 + number)
        shutil.copyfile(clip, clip.with_name(f"copy-{number}.mp4"))
    assert found(corpora) == []


def test_a_hard_link_is_no_other_video(corpora: Path) -> None:
    shutil.rmtree(corpora / "second")
    (corpora / "second/test/real").mkdir(parents=True)
    os.link(corpora / "first/val/real/clip1.mp4", corpora / "second/test/real/new.mp4")
    (sentence,) = found(corpora)
    assert "first/real/clip1 (val) = second/real/new (test)" in sentence


@pytest.mark.parametrize("stage", ["train", "search", "run", "evaluate"])
def test_equal_faces_in_training_and_in_test_are_refused(tmp_path: Path, stage: Stage) -> None:
    crop = np.zeros((32, 32, 3), np.uint8)
    rows = [
        (video_row(name, split=split, faces_digest=digest), [crop])
        for name, split, digest in (("a", "train", "f"), ("b", "test", "f"), ("c", "test", "g"))
    ]
    recipe = toy_recipe(tmp_path)
    store = write_faces(recipe, rows)
    assert store.summaries().num_rows == 3
    videos = videos_table([row for row, _ in rows])
    subject = Subject(RunContext.of(recipe), lambda _: Manifest(videos))
    sentences = [str(f) for f in find_problems(subject, stage) if f.check == "equal faces"]
    assert len(sentences) == 1
    assert "toy/camera/a (train) = toy/camera/b (test)" in sentences[0]
