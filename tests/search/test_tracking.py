"""A search in MLflow: one run, a child for each trial that says what the trial's folder says."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from dfray.errors import RegistryError
from dfray.search.tracking import SearchRuns
from dfray.search.trial import TrialSettings
from dfray.tracking.client import connect
from tests.helpers.locks import living_process, record_of
from tests.search.trials import curve, settings_of


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return connect(uri)


def entered(settings: TrialSettings, uri: str) -> SearchRuns:
    folder = settings.trials.removesuffix("/trials")
    return SearchRuns(settings, uri, "search-id", folder, "manifest")


def begin(settings: TrialSettings, number: int, *values: float, state: str | None = None) -> str:
    folder = settings.folder(f"trial-{number:03d}")
    folder.begin(number, {"objective.triplet.weight": 0.5}, 0, "search")
    folder.write_curve(curve(*values))
    if state:
        Path(folder.model).mkdir(parents=True)
        for name in ("bundle.json", "weights.safetensors"):
            (Path(folder.model) / name).write_text(name)
        folder.end(state, "it broke" if state == "failed" else None)
    return folder.id


def children(client: MlflowClient, runs: SearchRuns) -> dict[str, object]:
    experiment = client.get_experiment_by_name(runs.settings.recipe.registry.experiment)
    query = f"tags.`mlflow.parentRunId` = '{runs.parent.run_id}'"
    by_trial = client.search_runs([experiment.experiment_id], query)
    names = [run.data.tags["dfray.trial"] for run in by_trial]
    assert len(set(names)) == len(names), "a trial has two runs"
    return dict(zip(names, by_trial, strict=True))


def test_a_trial_is_a_child_with_its_curve_recipe_and_bundle(
    tmp_path: Path, uri: str, client: MlflowClient
) -> None:
    settings = settings_of(tmp_path)
    begin(settings, 0, 0.5, 0.7, 0.6, state="finished")
    with entered(settings, uri) as runs:
        runs.notify(settings.read("trial-000"))
        run_id = runs.tracked(settings.read("trial-000")).run_id
    child = children(client, runs)["trial-000"]
    assert child.info.run_id == run_id
    assert child.info.status == "FINISHED"
    assert child.data.params["objective.triplet.weight"] == "0.5"
    history = client.get_metric_history(run_id, "val_auc")
    assert [(point.step, point.value) for point in history] == [(0, 0.5), (1, 0.7), (2, 0.6)]
    files = {file.path for file in client.list_artifacts(run_id)}
    assert files == {"recipe.yaml", "model"}
    artifacts = {file.path for file in client.list_artifacts(run_id, "model")}
    assert artifacts == {"model/bundle.json", "model/weights.safetensors"}
    assert client.get_run(runs.parent.run_id).info.status == "FINISHED"


def test_a_failed_trial_says_why_and_a_stopped_one_that_it_was(
    tmp_path: Path, uri: str, client: MlflowClient
) -> None:
    settings = settings_of(tmp_path)
    begin(settings, 0, 0.5, state="stopped")
    begin(settings, 1, state="failed")
    with entered(settings, uri) as runs:
        for number in range(2):
            runs.notify(settings.read(f"trial-{number:03d}"))
    by_trial = children(client, runs)
    assert by_trial["trial-000"].info.status == "FINISHED"
    assert by_trial["trial-000"].data.tags["dfray.state"] == "stopped"
    assert by_trial["trial-001"].info.status == "FAILED"
    assert by_trial["trial-001"].data.tags["dfray.error"] == "it broke"


def test_a_search_that_goes_on_enters_the_runs_it_had(
    tmp_path: Path, uri: str, client: MlflowClient
) -> None:
    settings = settings_of(tmp_path)
    begin(settings, 0, 0.5, 0.6, state="finished")
    begin(settings, 1, 0.5)
    cut_off = entered(settings, uri)
    for number in range(2):
        cut_off.notify(settings.read(f"trial-{number:03d}"))
    before = {n: cut_off.tracked(settings.read(f"trial-{n:03d}")).run_id for n in range(2)}
    settings.folder("trial-001").write_curve(curve(0.5, 0.8))
    settings.folder("trial-001").end("finished")
    with entered(settings, uri) as runs:
        for number in range(2):
            runs.notify(settings.read(f"trial-{number:03d}"))
    assert runs.parent.run_id == cut_off.parent.run_id
    by_trial = children(client, runs)
    assert {n: by_trial[f"trial-{n:03d}"].info.run_id for n in range(2)} == before
    assert len(client.get_metric_history(before[0], "val_auc")) == 2
    assert [point.value for point in client.get_metric_history(before[1], "val_auc")] == [0.5, 0.8]
    assert by_trial["trial-001"].info.status == "FINISHED"


@pytest.mark.parametrize(
    ("end", "status"), [(KeyboardInterrupt, "KILLED"), (RuntimeError, "FAILED")]
)
def test_a_search_that_is_cut_off_ends_its_runs_and_opens_them_again(
    tmp_path: Path, uri: str, client: MlflowClient, end: type[BaseException], status: str
) -> None:
    settings = settings_of(tmp_path)
    begin(settings, 0, 0.5)
    runs = entered(settings, uri)
    ids = (runs.tracked(settings.read("trial-000")).run_id, runs.parent.run_id)
    with pytest.raises(end), runs:
        raise end
    assert [client.get_run(id_).info.status for id_ in ids] == [status, status]
    entered(settings, uri)
    assert [client.get_run(id_).info.status for id_ in ids] == ["RUNNING", "RUNNING"]


def test_a_search_ends_the_runs_of_another_that_was_killed_and_reopens_its_own(
    tmp_path: Path, uri: str, client: MlflowClient
) -> None:
    killed, other = settings_of(tmp_path / "killed"), settings_of(tmp_path / "other")
    begin(killed, 0, 0.5)
    with living_process() as holder:
        record_of(str(tmp_path / "killed"), holder)
        runs = entered(killed, uri)
        ids = (runs.tracked(killed.read("trial-000")).run_id, runs.parent.run_id)
    SearchRuns(other, uri, "other-id", str(tmp_path / "other"), "manifest")
    assert [client.get_run(id_).info.status for id_ in ids] == ["KILLED", "KILLED"]
    entered(killed, uri)
    assert [client.get_run(id_).info.status for id_ in ids] == ["RUNNING", "RUNNING"]


def test_a_trial_that_an_earlier_driver_did_not_log_is_logged_with_the_result(
    tmp_path: Path, uri: str, client: MlflowClient
) -> None:
    """Killed with MLflow away, after the finalists were chosen: the trials do not come up again."""
    settings = settings_of(tmp_path)
    begin(settings, 0, 0.5, 0.6, state="stopped")
    with entered(settings, uri) as runs:
        run_id = runs.tracked(settings.read("trial-000")).run_id
    child = children(client, runs)["trial-000"]
    assert [point.value for point in client.get_metric_history(run_id, "val_auc")] == [0.5, 0.6]
    assert (child.info.status, child.data.tags["dfray.state"]) == ("FINISHED", "stopped")


def test_failed_logging_is_repeated_at_the_end(
    tmp_path: Path, uri: str, client: MlflowClient
) -> None:
    """The database is out of reach while the trial is logged, and back when the search ends."""
    settings = settings_of(tmp_path)
    begin(settings, 0, 0.5, 0.6, state="finished")
    database, away = tmp_path / "mlflow.db", tmp_path / "away.db"
    with entered(settings, uri) as runs:
        database.rename(away)
        database.mkdir()
        runs.notify(settings.read("trial-000"))
        with pytest.raises(RegistryError):
            runs.tracked(settings.read("trial-000"))
        database.rmdir()
        away.rename(database)
        assert not children(client, runs)
    child = children(client, runs)["trial-000"]
    assert child.data.metrics["val_auc"] == 0.6
    assert child.info.status == "FINISHED"
