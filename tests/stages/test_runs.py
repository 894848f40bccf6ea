"""Runs of a work_dir: what the next one finds, and what none needs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dfray import stages, storage
from dfray.config import Recipe
from dfray.dependencies import Dependencies
from dfray.errors import LockedError, UserError
from dfray.render.runs import show_comparison, show_runs, show_unneeded
from dfray.run_context import RunContext
from dfray.run_folder import RunsOfName
from dfray.run_manifest import changes_since
from dfray.run_status import run_status
from dfray.stages.training import reuse_training
from tests.helpers.locks import of_elsewhere, record_of
from tests.helpers.rows import fake_row, video_row, videos_table
from tests.helpers.runs import write_run
from tests.helpers.toy import toy_recipe, toy_videos

HISTORY = [{"epoch": 0.0, "selection_loss": 0.5}]
METRICS = {"overall": {"video": {"n_real": 2, "auc": {"value": 0.9, "low": 0.8, "high": 1.0}}}}


def trained(recipe: Recipe) -> RunContext:
    """Return the recipe's run with a file in the place of its model."""
    run = RunContext.of(recipe)
    run.claim()
    storage.write_bytes(b"{}", f"{run.folder.model}/bundle.json")
    run.folder.update_state(replace(run.folder.state(), history=HISTORY))
    return run


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    recipe = toy_recipe(tmp_path, "mine")
    write_run(recipe, toy_videos(videos=4, faces=1))
    return recipe


def again(recipe: Recipe, *overrides: str) -> RunContext:
    """Return the run of a changed recipe, after a look at the corpora."""
    run = RunContext.of(toy_recipe(recipe.work_dir, recipe.name, *overrides))
    stages.build_manifest(run)
    return run


def states(run: RunContext) -> dict[str, tuple[str, str]]:
    return {status.stage: (status.state, status.detail) for status in run_status(run)}


def test_a_changed_training_is_another_run_on_the_same_faces(recipe: Recipe) -> None:
    first, second = trained(recipe), again(recipe, "training.lr=0.1")
    assert states(first)["train"] == ("done", "1 epochs")
    assert states(second)["extract"] == ("done", "4 videos")
    assert states(second)["train"] == ("due", "training.lr 0.001 -> 0.1")
    assert states(second)["evaluate"] == ("due", "")
    assert first.folder.root != second.folder.root
    assert first.folder.faces == second.folder.faces


def test_a_changed_evaluation_name_or_gate_is_of_the_same_run(recipe: Recipe) -> None:
    trained(recipe)
    for override in (
        "evaluation.threshold=0.3",
        "registry.model_name=b",
        "registry.gates.min_auc=0.9",
    ):
        assert states(again(recipe, override))["train"] == ("done", "1 epochs")


def test_a_run_of_another_name_reuses_the_training(recipe: Recipe) -> None:
    source = trained(recipe)
    run = RunContext.of(toy_recipe(recipe.work_dir, "other"))
    stages.build_manifest(run)
    key = source.dependencies.key
    assert states(run)["train"] == ("reused", f"from mine/{key}")
    reuse_training(run)
    assert states(run)["train"] == ("reused", f"from mine/{key}")
    assert run.folder.state().history == HISTORY
    assert storage.exists(f"{run.folder.model}/bundle.json")


@pytest.mark.parametrize("name", ["mine", "other"])
def test_a_training_that_an_earlier_dfray_keyed_by_a_named_mean_of_patches_is_reused(
    recipe: Recipe, name: str
) -> None:
    named = ("model.weights=/models/vit.safetensors", "model.pool=avg")
    run, before = again(recipe, *named), again(recipe, *named)
    values = dict(run.dependencies.values)
    assert values["model.pool"] is None
    earlier = Dependencies(values | {"model.pool": "avg"})
    vars(before).update(dependencies=earlier, runs=RunsOfName(recipe.work_dir, name))
    before.claim()
    storage.write_bytes(b"{}", f"{before.folder.model}/bundle.json")
    before.folder.update_state(replace(before.folder.state(), history=HISTORY))
    assert states(run)["train"] == ("reused", f"from {name}/{earlier.key}")
    reuse_training(run)
    assert run.folder.state().history == HISTORY
    unnamed = again(recipe, named[0], "model.pool=token")
    assert states(unnamed)["train"][0] == "due"


def test_new_and_removed_videos_make_a_training_stale(
    recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(recipe)
    listed = Path(recipe.corpora[0].root)
    *lines, _ = listed.read_text().splitlines()
    uri, _, columns = lines[-1].partition(",")
    lines.append(f"{Path(uri).with_name('102.mp4')},{columns}")
    Path(lines[-1].partition(",")[0]).touch()
    listed.write_text("\n".join(lines) + "\n")
    run = again(recipe)
    assert "since the last look at the corpora: +1, -1 videos" in capsys.readouterr().err
    assert states(run)["extract"] == ("due", "1 of 4 videos have none yet")
    state, reason = states(run)["train"]
    assert state == "due"
    assert "train videos" in reason


def test_a_file_that_was_overwritten_is_counted_and_makes_its_training_stale(
    recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    again(recipe)
    trained(recipe)
    clip, *_ = (Path(uri) for uri in RunContext.of(recipe).manifest["uri"].to_pylist())
    clip.write_bytes(b"another content")
    run = again(recipe)
    assert "since the last look at the corpora: 1 changed videos" in capsys.readouterr().err
    assert states(run)["extract"] == ("due", "1 of 4 videos have none yet")
    assert states(run)["train"][0] == "due"
    assert "val videos" in states(run)["train"][1]
    assert states(again(recipe))["train"] == states(run)["train"]


def test_a_run_or_search_that_another_command_does_now_is_refused(recipe: Recipe) -> None:
    run = RunContext.of(recipe)
    record_of(run.folder.root, of_elsewhere("mine/first"))
    record_of(f"{recipe.work_dir}/mine/search", of_elsewhere("mine/search"))
    for stage, work in ((stages.extract, "mine/first"), (stages.search, "mine/search")):
        with pytest.raises(LockedError, match=rf"Another command writes to .*: {work} \(host"):
            stage(run)
    assert not storage.exists(run.folder.recipe_file)


def test_changes_of_a_corpus_are_counted() -> None:
    before = videos_table(
        [video_row("a"), video_row("b"), fake_row("c", stamp="7-1", content="7-1")]
    )
    now = [
        video_row("a", split="test"),
        fake_row("c", stamp="7-2", content="7-2"),
        video_row("d"),
        video_row("e"),
    ]
    assert changes_since(before, videos_table(now)) == (
        "+2, -1, 1 changed videos; 1 with another split or class"
    )
    assert changes_since(before, before) == ""


def test_runs_are_listed_with_what_differs_and_set_side_by_side(
    recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(recipe)
    second = again(recipe, "training.lr=0.1")
    second.claim()
    storage.write_bytes(json.dumps(METRICS).encode(), second.folder.metrics)
    first_run, second_run = stages.list_runs(recipe.work_dir)
    assert (first_run.progress, first_run.changes, first_run.is_latest) == ("trained", [], False)
    assert second_run.changes == ["training.lr 0.001 -> 0.1"]
    assert (second_run.figures, second_run.is_latest) == ({"auc": [0.9, 0.8, 1.0]}, True)
    comparison = stages.compare_runs(recipe.work_dir, first_run.name[:9], "mine")
    assert comparison.keys == [("training.lr", 0.001, 0.1)]
    assert comparison.figures == [("auc", None, [0.9, 0.8, 1.0])]
    with pytest.raises(UserError, match=r"No run is called other.*There are: mine/"):
        stages.compare_runs(recipe.work_dir, "other", "mine")
    show_runs([first_run, second_run])
    show_comparison(comparison)
    printed = capsys.readouterr().out
    assert "0.900 [0.800, 1.000]" in printed
    assert "training.lr" in printed


def test_a_training_that_was_cut_off_is_named_before_it_is_removed(recipe: Recipe) -> None:
    run = again(recipe)
    stages.build_manifest(run)
    run.claim()
    storage.write_bytes(b"1234", f"{run.folder.checkpoints}/epoch-000/state.pt")
    again(recipe, "training.lr=0.1").claim()
    (cut_off,) = stages.clean(recipe.work_dir, remove=False)
    assert cut_off.uri == run.folder.root
    assert cut_off.reason.startswith("a training that was cut off")


def test_folders_that_no_key_names_stay(recipe: Recipe) -> None:
    trained(recipe)
    earlier = f"{recipe.work_dir}/faces/model/bundle.json"
    storage.write_bytes(b"a run of an earlier dfray that was called faces", earlier)
    assert stages.clean(recipe.work_dir, remove=True) == []
    assert storage.exists(earlier)


def test_only_what_no_run_needs_is_removed_and_only_if_asked_for(
    recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = trained(recipe)
    storage.write_bytes(b"1234", f"{kept.folder.checkpoints}/epoch-000/state.pt")
    given_up = again(recipe, "training.lr=0.1", "faces.rate_fps=5")
    given_up.claim()
    storage.write_bytes(b"12", f"{given_up.folder.faces}/extraction.json")
    again(recipe, "training.lr=0.2").claim()
    expected = {kept.folder.checkpoints, given_up.folder.root, given_up.folder.faces}
    listed = stages.clean(recipe.work_dir, remove=False)
    assert {item.uri for item in listed} == expected
    assert all(storage.exists(uri) for uri in expected)
    show_unneeded(listed, removed=False)
    assert "--yes removes them" in capsys.readouterr().out
    with given_up.locked(), given_up.extraction_turn():
        assert [item.uri for item in stages.clean(recipe.work_dir, remove=True)] == [
            kept.folder.checkpoints
        ]
    stages.clean(recipe.work_dir, remove=True)
    assert not any(storage.exists(uri) for uri in expected)
    assert stages.clean(recipe.work_dir, remove=True) == []
    assert states(kept)["train"] == ("done", "1 epochs")
    assert kept.extracted().missing == 0
