"""Search folder: ownership, and the epochs that a trial has reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.datasets.manifest import Manifest, write_manifest
from dfray.errors import UserError
from dfray.run_folder import RunFolder
from dfray.search.folder import SearchFolder, TrialFolder
from dfray.search.result import Finalist, SearchResult
from tests.helpers.rows import fake_row, video_row, videos_table
from tests.helpers.toy import toy_recipe
from tests.search.trials import curve, trial


def test_a_trial_is_read_as_far_as_it_has_come(tmp_path: Path) -> None:
    folder = TrialFolder(str(tmp_path / "trial-003"))
    assert not folder.exists()
    folder.begin(3, {"training.lr": 0.1}, 5, "search")
    started = folder.read("val_auc", "max")
    assert (started.id, started.number, started.seed) == ("trial-003", 3, 5)
    assert (started.state, started.value, started.epochs) == ("running", None, 0)
    folder.write_curve(curve(0.5, 0.8, 0.7))
    assert folder.read("val_auc", "max").value == 0.8
    assert folder.read("val_auc", "min").value == 0.5
    folder.end("failed", "its reason")
    ended = folder.read("val_auc", "max")
    assert (ended.state, ended.error, ended.epochs) == ("failed", "its reason", 3)


def test_a_search_that_was_cut_off_is_gone_on_with_only_when_asked(tmp_path: Path) -> None:
    folder = SearchFolder(RunFolder(toy_recipe(tmp_path)))
    folder.require_free(resume=True)  # there is none yet
    folder.begin()
    with pytest.raises(UserError, match=r"has not ended.*--resume"):
        folder.require_free(resume=False)
    again = SearchFolder(RunFolder(folder.recipe))
    again.require_free(resume=True)
    again.begin()
    assert again.id == folder.id


@pytest.mark.parametrize("datasets", [1, 2])
def test_trials_of_an_earlier_dfray_are_gone_on_with_where_their_metric_is_that_of_today(
    datasets: int, tmp_path: Path
) -> None:
    """It pooled the validation's videos, which is the mean over datasets if there is one."""
    folder = SearchFolder(RunFolder(toy_recipe(tmp_path)))
    folder.begin()
    (tmp_path / "toy/search/search.json").write_text('{"id": "of before"}')
    rows = [
        make(f"{name}{number}", split="val", dataset=f"set{number}")
        for number in range(datasets)
        for make, name in ((video_row, "a"), (fake_row, "b"))
    ]
    write_manifest(Manifest(videos_table(rows)), folder.manifest)
    if datasets == 1:
        folder.require_free(resume=True)
    else:
        with pytest.raises(UserError, match="earlier dfray.*pooled; now it is the mean over 2"):
            folder.require_free(resume=True)


def test_another_space_under_the_same_name_is_refused_with_its_differences(tmp_path: Path) -> None:
    SearchFolder(RunFolder(toy_recipe(tmp_path))).begin()
    SearchFolder(RunFolder(toy_recipe(tmp_path, "toy", "search.max_concurrent=1"))).require_free(
        resume=True
    )
    with pytest.raises(UserError, match=r"search.trials 12 -> 13"):
        SearchFolder(RunFolder(toy_recipe(tmp_path, "toy", "search.trials=13"))).require_free(
            resume=True
        )


def test_finalists_are_chosen_once(tmp_path: Path) -> None:
    folder = SearchFolder(RunFolder(toy_recipe(tmp_path)))
    folder.begin()
    assert folder.finalists() is None
    folder.choose_finalists(["trial-001"])
    assert SearchFolder(RunFolder(folder.recipe)).finalists() == ["trial-001"]
    assert SearchFolder(RunFolder(folder.recipe)).id == folder.id


def test_a_result_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    best = trial(1, "finished", 0.5, 0.75, run_id="abc")
    mixed = {"a.b": True, "c.d": 2, "e.f": 0.5, "g.h": "name"}
    result = SearchResult(
        recipe_name="toy",
        metric="val_auc",
        mode="max",
        epochs=2,
        trials=[trial(0, "failed"), best, trial(2, "stopped", 0.4, parameters=mixed)],
        finalists=[Finalist("trial-001", best.parameters, [best, trial(3)])],
        winner=best,
        winning_trial="trial-001",
        parent_run_id="parent",
        tracking_uri="sqlite:///mlflow.db",
        version="3",
        folder=str(tmp_path),
    )
    result.save(str(tmp_path / "result.json"))
    again = SearchResult.load(str(tmp_path / "result.json"))
    assert again == result
    assert again.trials[2].parameters == mixed
    assert [type(value) for value in again.trials[2].parameters.values()] == [bool, int, float, str]
