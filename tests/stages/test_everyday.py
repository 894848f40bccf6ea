"""Everyday steps with one corpus: what each run does anew, as a table.

A letter stands for a stage that was due (e: extract, t: train, f: figures, r: register, p: promote), a dot
for one that was done, and = for a training that was reused from a run of another name.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dfray import stages
from dfray.recipe import load_recipe
from dfray.run_context import RunContext
from tests.helpers.corpus import write_corpus
from tests.helpers.refused_run import RECIPE

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1800)]

LETTERS = {"extract": "e", "train": "t", "evaluate": "f", "register": "r", "promote": "p"}
Change = Callable[[Path], None]


def nothing(corpus: Path) -> None:
    """Leave the corpus as it is."""


def add(corpus: Path) -> None:
    """Add a copy of a training video under another name."""
    shutil.copy(next((corpus / "train" / "real").glob("*.mp4")), corpus / "train/real/added.mp4")


def remove(corpus: Path) -> None:
    """Remove the video that was added."""
    (corpus / "train/real/added.mp4").unlink()


def add_test(corpus: Path) -> None:
    """Add a copy of a test video under another name."""
    shutil.copy(next((corpus / "test" / "real").glob("*.mp4")), corpus / "test/real/tested.mp4")


def damage(corpus: Path) -> None:
    """Add a file that is no video."""
    (corpus / "train/real/broken.mp4").write_text("no video")


def mend(corpus: Path) -> None:
    """Remove that file."""
    (corpus / "train/real/broken.mp4").unlink()


FASTER = "training.lr=0.002"
STEPS: list[tuple[str, str, Change, tuple[str, ...]]] = [
    ("a new corpus", "etfrp", nothing, ()),
    ("the same again", ".....", nothing, ()),
    ("another description", ".....", nothing, ("description=mine",)),
    ("more scoring actors", ".....", nothing, ("evaluation.num_workers=2",)),
    (
        "more retries and another shard size",
        ".....",
        nothing,
        ("training.max_failures=5", "faces.shard_mb=9"),
    ),
    ("a relaxed gate", "....p", nothing, ("registry.gates.auc_margin=0.9",)),
    ("another threshold", "..frp", nothing, ("evaluation.threshold=0.4",)),
    ("the first threshold again", "..frp", nothing, ()),
    ("another model name", "...rp", nothing, ("registry.model_name=mended",)),
    ("the first name again", "...rp", nothing, ()),
    ("another learning rate", ".tfrp", nothing, (FASTER,)),
    ("the same again", ".....", nothing, (FASTER,)),
    ("the first learning rate again", ".....", nothing, ()),
    ("another run's name", ".=frp", nothing, ("name=other",)),
    ("the same again", ".=...", nothing, ("name=other",)),
    ("a lower batch size", ".tfrp", nothing, ("batches.batch_size=2",)),
    ("a new test video", "e.frp", add_test, ()),
    ("a new training video", "etfrp", add, ()),
    ("the same again", ".....", nothing, ()),
    ("that video removed", ".....", remove, ()),
    ("a file that is no video", "etfrp", damage, ()),
    ("that file removed", ".....", mend, ()),
    ("more frames a second", "etfrp", nothing, ("faces.rate_fps=2",)),
    ("fewer frames again", ".....", nothing, ()),
]


def test_each_step_does_anew_what_has_changed_and_nothing_else(
    ray_session: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(RECIPE)
    write_corpus(tmp_path / "corpus", 12, seconds=2, splits=("train", "val", "test"))
    table = []
    for title, _, change, overrides in STEPS:
        change(tmp_path / "corpus")
        run = RunContext.of(load_recipe("small.yaml", ["training.epochs=1", *overrides]))
        asked = stages.status(RunContext.of(run.recipe))
        result = stages.run_pipeline(run)
        assert result.statuses == asked, title
        table.append((title, "".join(map(mark, result.statuses))))
        print(f"{table[-1][1]}  {title}")
    assert table == [(title, expected) for title, expected, *_ in STEPS]
    stages.clean("runs", remove=True)
    last = stages.run_pipeline(RunContext.of(load_recipe("small.yaml", ["training.epochs=1"])))
    assert {status.state for status in last.statuses} == {"done"}


def mark(status: stages.StageStatus) -> str:
    """Return the letter of a stage's state."""
    return {"due": LETTERS[status.stage], "done": ".", "reused": "="}[status.state]
