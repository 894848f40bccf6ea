"""Thirty everyday steps with one corpus: what each run does anew, as a table.

A letter stands for a stage that was due (e: extract, t: train, f: figures, r: register, p: promote), a dot
for one that was done, and = for a training that was reused from a run of another name.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from dfray import stages
from dfray.faces.shards import FacesStore
from dfray.recipe import load_recipe
from dfray.run_context import RunContext
from tests.helpers.commands import DFRAY, dfray_process, plain_environment
from tests.helpers.corpus import write_corpus
from tests.helpers.processes import wait_for
from tests.helpers.refused_run import RECIPE

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(3600)]

LETTERS = {"extract": "e", "train": "t", "evaluate": "f", "register": "r", "promote": "p"}
LEARNED, TESTED = Path("corpus/train/real/added.mp4"), Path("corpus/test/real/added.mp4")
NO_VIDEO = Path("corpus/train/real/broken.mp4")
ONE = ("faces.rate_fps=3", "training.lr=0.003")
OTHER = ("faces.rate_fps=3", "training.lr=0.004")
LONG = ("training.epochs=8", "training.lr=0.005")


def add(clip: Path) -> None:
    """Add a copy of another clip of its folder."""
    shutil.copy(next(path for path in sorted(clip.parent.glob("*.mp4")) if path != clip), clip)


def overwrite(clip: Path) -> None:
    """Put another clip of its folder in the place of a clip."""
    shutil.copy(sorted(path for path in clip.parent.glob("*.mp4") if path != clip)[-1], clip)


def copy_anew() -> None:
    """Replace every file of the corpus by a copy of itself, with another time."""
    shutil.copytree("corpus", "copy", copy_function=shutil.copyfile)
    shutil.rmtree("corpus")
    Path("copy").rename("corpus")


def kill_a_training() -> None:
    """Start the run in a process of its own, and kill it once it has trained for an epoch."""
    command, checkpoints = [DFRAY, "run", "small.yaml", *LONG], run_of(LONG).folder.checkpoints
    with Path("killed.log").open("w") as log:
        run = subprocess.Popen(command, stdout=log, stderr=log, env=plain_environment())
        wait_for(lambda: any(Path(checkpoints).rglob("epoch-*")), timeout_s=300)
        run.kill()
        run.wait()
    assert run_status(LONG)["train"].detail == "began before and has not ended"


def run_two_at_once() -> None:
    """Run two recipes that share an extraction side by side, each in a process of its own."""

    def run(overrides: tuple[str, ...]) -> None:
        words = ("small.yaml", "training.epochs=1", *overrides)
        done = dfray_process(Path.cwd(), "run", *words, timeout_s=900)
        assert done.code in (0, 1), done.err  # the gates may refuse the second

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, (ONE, OTHER)))
    assert {status.state for status in run_status(OTHER).values()} == {"done"}
    extracted = FacesStore(run_of(ONE).folder.faces).summaries()
    assert extracted.num_rows == run_of(ONE).manifest.num_rows


def clean_up() -> None:
    """Begin a run that never trains, go back to the first; remove what no run needs."""
    abandoned, first = run_of(("training.lr=0.009",)), run_of(())
    for run in (abandoned, first):
        stages.build_manifest(run)
        run.claim()
    assert abandoned.folder.root in {item.uri for item in stages.clean("runs", remove=True)}
    assert stages.clean("runs", remove=True) == []


@dataclass(frozen=True)
class Step:
    """One step of a day.

    Attributes:
        expected: what the run does anew.
        overrides: of the recipe of that run.
        before: what happens before the run.
        instead: what happens in its place.
    """

    title: str
    expected: str
    overrides: tuple[str, ...] = ()
    before: Callable[[], object] = lambda: None
    instead: Callable[[], object] | None = None


OTHER_SHAPE = ("description=mine", "evaluation.num_workers=2", "training.max_failures=5")
STEPS = [
    Step("a new corpus", "etfrp"),
    Step("the same again", "....."),
    Step("another description, more actors and retries", ".....", OTHER_SHAPE),
    Step("another shard size", ".....", ("faces.shard_mb=9",)),
    Step("a relaxed gate", "....p", ("registry.gates.auc_margin=0.9",)),
    Step("another threshold", "..frp", ("evaluation.threshold=0.4",)),
    Step("the first threshold again", "..frp"),
    Step("another model name", "...rp", ("registry.model_name=mended",)),
    Step("the first name again", "...rp"),
    Step("another learning rate", ".tfrp", ("training.lr=0.002",)),
    Step("the first learning rate again", "....."),
    Step("another run's name", ".=frp", ("name=other",)),
    Step("the same again", ".=...", ("name=other",)),
    Step("a lower batch size", ".tfrp", ("batches.batch_size=2",)),
    Step("another augmentation", ".tfrp", ("augment.flip=0",)),
    Step("another network", ".tfrp", ("model.drop_path=0.1",)),
    Step("another objective", ".tfrp", ("objective.label_smoothing=0.1",)),
    Step("another seed", ".tfrp", ("seed=8",)),
    Step("a new test video", "e.frp", before=lambda: add(TESTED)),
    Step("that video overwritten", "e.frp", before=lambda: overwrite(TESTED)),
    Step("a new training video", "etfrp", before=lambda: add(LEARNED)),
    Step("that video overwritten", "etfrp", before=lambda: overwrite(LEARNED)),
    Step("the corpus copied anew", ".....", before=copy_anew),
    Step("that video removed", ".....", before=LEARNED.unlink),
    Step("a file that is no video", "etfrp", before=lambda: NO_VIDEO.write_text("no video")),
    Step("more frames a second", "etfrp", ("faces.rate_fps=2",)),
    Step("fewer frames again", ".....", before=NO_VIDEO.unlink),
    Step("two at once", "etfrp", ONE, instead=run_two_at_once),
    Step("a killed one goes on", ".tfrp", LONG, before=kill_a_training),
    Step("cleaned up", ".....", before=clean_up),
]


def run_of(overrides: tuple[str, ...]) -> RunContext:
    return RunContext.of(load_recipe("small.yaml", ["training.epochs=1", *overrides]))


def run_status(overrides: tuple[str, ...]) -> dict[str, stages.StageStatus]:
    return {status.stage: status for status in stages.status(run_of(overrides))}


def test_each_step_does_anew_what_has_changed_and_nothing_else(
    ray_session: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(RECIPE)
    write_corpus(Path("corpus"), 12, seconds=2, splits=("train", "val", "test"))
    assert len(STEPS) == 30
    table = []
    for step in STEPS:
        step.before()
        predicted = list(run_status(step.overrides).values())
        if step.instead:
            step.instead()
        else:
            assert stages.run_pipeline(run_of(step.overrides)).statuses == predicted, step.title
        table.append((step.title, "".join(map(mark, predicted))))
        print(f"{table[-1][1]}  {step.title}", flush=True)
        assert not any(state.state == "due" for state in run_status(step.overrides).values())
    assert table == [(step.title, step.expected) for step in STEPS]


def mark(status: stages.StageStatus) -> str:
    """Return the letter of a stage's state."""
    return {"due": LETTERS[status.stage], "done": ".", "reused": "="}[status.state]
