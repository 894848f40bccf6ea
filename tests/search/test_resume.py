"""A search, walked for real: its driver is killed in the middle, and `--resume` ends it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from dfray import stages
from dfray.config import Recipe
from dfray.errors import UserError
from dfray.models.bundle import Bundle
from dfray.registry.measurement_store import load_headline_metrics
from dfray.registry.versions import Versions
from dfray.run_context import RunContext
from dfray.run_folder import RunFolder
from dfray.search.result import SearchResult, Trial
from dfray.search.trial import TrialSettings
from dfray.tracking.client import connect
from tests.helpers.processes import wait_for
from tests.search.kit import searched_recipe, source_of, words

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]


@dataclass
class CutOff:
    """A search whose driver was killed, and that was gone on with."""

    recipe: Recipe
    result: SearchResult
    before: dict[str, Trial]
    files: dict[str, int]


def modified(settings: TrialSettings, name: str) -> int:
    return (Path(settings.folder(name).checkpoint) / "state.pt").stat().st_mtime_ns


@pytest.fixture(scope="module")
def cut_off(ray_session, tmp_path_factory) -> CutOff:
    folder = tmp_path_factory.mktemp("search")
    recipe = searched_recipe(folder)
    trials = folder / "toy" / "search" / "trials"
    settings = TrialSettings(recipe, source_of(recipe), str(trials))
    driver = subprocess.Popen(
        [sys.executable, "-m", "dfray.cli", "search", *words(folder)],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    second = trials / "trial-001"
    wait_for(lambda: driver.poll() is not None or (second / "curve.json").exists(), 400)
    family = psutil.Process(driver.pid).children(recursive=True)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL, "it had ended before it could be killed"
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    started = sorted(path.name for path in trials.iterdir() if (path / "trial.json").exists())
    before = {name: settings.read(name) for name in started}
    files = {name: modified(settings, name) for name, item in before.items() if item.epochs}
    with pytest.raises(UserError, match="--resume"):
        stages.search(RunContext.of(recipe))
    return CutOff(recipe, stages.search(RunContext.of(recipe), resume=True), before, files)


def test_every_trial_ends_and_none_is_lost_or_doubled(cut_off: CutOff) -> None:
    trials = cut_off.result.trials
    assert [trial.id for trial in trials] == ["trial-000", "trial-001", "trial-002"]
    assert {trial.state for trial in trials} <= {"finished", "stopped"}
    folders = {path.name for path in Path(trials[0].folder).parent.iterdir()}
    runs = [run for item in cut_off.result.finalists for run in item.runs]
    assert folders == {trial.id for trial in [*trials, *runs]}
    assert len({json.dumps(trial.parameters) for trial in trials}) == 3


def test_what_had_been_trained_is_kept(cut_off: CutOff) -> None:
    """The seconds that an epoch took are never the same twice."""
    after = {trial.id: trial for trial in cut_off.result.trials}
    assert cut_off.before["trial-000"].epochs >= 1
    for name, before in cut_off.before.items():
        assert after[name].parameters == before.parameters
        seconds_after = [
            epoch["seconds"] for epoch in after[name].curve[: max(0, before.epochs - 1)]
        ]
        assert seconds_after == [epoch["seconds"] for epoch in before.curve[:-1]]


def test_ended_trials_are_not_trained_again(cut_off: CutOff) -> None:
    settings = TrialSettings(
        cut_off.recipe,
        RunFolder(cut_off.recipe),
        str(Path(cut_off.result.trials[0].folder).parent),
    )
    ended = [name for name, trial in cut_off.before.items() if trial.state != "running"]
    assert "trial-000" in ended
    for name in ended:
        assert modified(settings, name) == cut_off.files[name]


def test_the_best_is_repeated_with_fresh_seeds_and_the_best_run_of_it_wins(
    cut_off: CutOff,
) -> None:
    result = cut_off.result
    (finalist,) = result.finalists
    best = max(result.trials, key=lambda trial: trial.value)
    assert finalist.parameters == best.parameters
    assert [run.seed for run in finalist.runs] == [1, 2]
    assert {run.state for run in finalist.runs} == {"finished"}
    assert result.winner.value == max(run.value for run in finalist.runs)
    assert result.winning_trial == best.id


def test_mlflow_has_one_child_for_each_training(cut_off: CutOff) -> None:
    result = cut_off.result
    client = connect(result.tracking_uri)
    experiment = client.get_experiment_by_name(cut_off.recipe.registry.experiment)
    expected = f"tags.`mlflow.parentRunId` = '{result.parent_run_id}'"
    children = client.search_runs([experiment.experiment_id], expected)
    reported = [*result.trials, *(run for item in result.finalists for run in item.runs)]
    assert {run.data.tags["dfray.trial"]: run.info.run_id for run in children} == {
        trial.id: trial.run_id for trial in reported
    }
    assert len(children) == len(reported) == 5
    for trial in reported:
        values = [item.value for item in client.get_metric_history(trial.run_id, "val_auc")]
        assert values == [epoch["val_auc"] for epoch in trial.curve]
    assert {run.info.status for run in children} == {"FINISHED"}
    assert client.get_run(result.parent_run_id).info.status == "FINISHED"


def test_the_winner_is_the_candidate_and_says_which_run_made_it(cut_off: CutOff) -> None:
    result, section = cut_off.result, cut_off.recipe.registry
    versions = Versions(section.model_name, result.tracking_uri)
    assert versions.aliases() == {"candidate": result.version}
    version = versions.get(result.version)
    assert version.run_id == result.winner.run_id
    assert version.tags["dfray.trial"] == result.winner.id
    assert version.tags["dfray.search_run"] == result.parent_run_id
    figures = load_headline_metrics(versions, result.version)
    assert figures is not None
    assert figures.n_videos == 8
    bundle = Bundle.load(Path(result.winner.folder) / "model")
    assert bundle.recipe["seed"] == result.winner.seed


def test_a_registration_of_the_winner_that_was_cut_off_is_gone_on_with(cut_off: CutOff) -> None:
    """Killed after the version was made, before it was the candidate that says where it came from."""
    result, section = cut_off.result, cut_off.recipe.registry
    versions = Versions(section.model_name, result.tracking_uri)
    versions.client.delete_model_version_tag(section.model_name, result.version, "dfray.trial")
    versions.unpoint("candidate")
    (Path(result.folder) / "result.json").unlink()
    again = stages.search(RunContext.of(cut_off.recipe), resume=True)
    assert again == result
    assert versions.numbers() == [result.version]
    assert versions.aliases() == {"candidate": result.version}
    assert versions.get(result.version).tags["dfray.trial"] == result.winner.id


def test_a_search_that_has_ended_returns_its_result_at_once(cut_off: CutOff) -> None:
    assert stages.search(RunContext.of(cut_off.recipe)) == cut_off.result
