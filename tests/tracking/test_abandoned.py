"""MLflow runs that a killed process left open: ended by the next one, if that process is surely dead."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from mlflow import MlflowClient

from dfray.config import CorpusSection, Recipe, RegistrySection
from dfray.storage import lock as locks
from dfray.tracking.abandoned import end_abandoned_runs
from dfray.tracking.client import connect
from dfray.tracking.run import Run, start_run
from tests.helpers.locks import living_process, of_elsewhere, record_of


@pytest.fixture
def recipe() -> Recipe:
    """A recipe with an experiment of its own."""
    corpus = CorpusSection(reader="folder", root="clips", dataset="mine")
    registry = RegistrySection(experiment=f"abandoned {uuid.uuid4().hex}")
    return Recipe(name="tiny", corpora=[corpus], registry=registry)


@pytest.fixture
def client(tracking_uri: str) -> MlflowClient:
    return connect(tracking_uri)


def begin(recipe: Recipe, tracking_uri: str, folder: Path | None) -> Run:
    root = None if folder is None else str(folder)
    return start_run(recipe, tracking_uri, manifest_fingerprint="m" * 16, folder=root)


def status(client: MlflowClient, run: Run) -> str:
    return str(client.get_run(run.run_id).info.status)


def test_a_run_ends_as_killed_once_its_process_is_dead(
    recipe: Recipe, tracking_uri: str, client: MlflowClient, tmp_path: Path
) -> None:
    with living_process() as holder:
        record_of(str(tmp_path), holder)
        run = begin(recipe, tracking_uri, tmp_path)
        end_abandoned_runs(tracking_uri, recipe.registry.experiment)
        assert status(client, run) == "RUNNING"
    end_abandoned_runs(tracking_uri, recipe.registry.experiment)
    assert status(client, run) == "KILLED"


def test_a_run_of_another_machine_ends_only_if_its_own_lock_was_not_renewed(
    recipe: Recipe,
    tracking_uri: str,
    client: MlflowClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another machine may have a folder of the same name."""
    silent, released, unseen = (tmp_path / name for name in ("silent", "released", "unseen"))
    runs = []
    for folder in (silent, released, unseen):
        record_of(str(folder), of_elsewhere())
        runs.append(begin(recipe, tracking_uri, folder))
    record_of(str(released), of_elsewhere())
    (unseen / "lock" / "1").unlink()
    end_abandoned_runs(tracking_uri, recipe.registry.experiment)
    assert [status(client, run) for run in runs] == 3 * ["RUNNING"]
    monkeypatch.setattr(locks, "LIMIT_S", -1.0)
    end_abandoned_runs(tracking_uri, recipe.registry.experiment)
    assert [status(client, run) for run in runs] == ["KILLED", "RUNNING", "RUNNING"]


def test_runs_that_name_no_process_are_left_as_they_are(
    recipe: Recipe, tracking_uri: str, client: MlflowClient, tmp_path: Path
) -> None:
    runs = [begin(recipe, tracking_uri, folder) for folder in (None, tmp_path)]
    end_abandoned_runs(tracking_uri, recipe.registry.experiment)
    assert [status(client, run) for run in runs] == 2 * ["RUNNING"]


def test_an_experiment_without_a_run_is_not_made(recipe: Recipe, tracking_uri: str) -> None:
    end_abandoned_runs(tracking_uri, recipe.registry.experiment)
    assert connect(tracking_uri).get_experiment_by_name(recipe.registry.experiment) is None
