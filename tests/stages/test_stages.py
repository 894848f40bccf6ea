"""All that a run of the whole pipeline leaves on an object store, and what its stages find there again."""

import json
from pathlib import Path

import pytest

from dfray import stages, storage
from dfray.datasets.manifest import read_manifest
from dfray.errors import UserError
from dfray.recipe import load_recipe
from dfray.run_context import RunContext
from dfray.training.context import History
from tests.helpers.refused_run import REFUSING, RefusedRun
from tests.helpers.s3_actions import action
from tests.helpers.toy import toy_recipe

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


@pytest.fixture
def run(refused_run: RefusedRun, monkeypatch: pytest.MonkeyPatch) -> RunContext:
    monkeypatch.chdir(refused_run.folder)
    monkeypatch.setattr("dfray.run_context.session", lambda *_, **__: pytest.fail("Ray is started"))
    return RunContext.of(load_recipe("small.yaml", [REFUSING]))


@pytest.fixture
def history(run: RunContext) -> History:
    """The history of the finished training, which is not done again."""
    before = {uri: storage.read_bytes(uri) for uri in run.faces.shards("train")}
    history = stages.train(run)
    assert {uri: storage.read_bytes(uri) for uri in run.faces.shards("train")} == before
    return history


def test_everything_that_it_made_lies_on_s3(run: RunContext) -> None:
    assert run.folder.report.startswith("s3://")
    assert b"<html" in storage.read_bytes(run.folder.report)
    assert run.manifest.equals(read_manifest(run.folder.manifest))
    assert run.faces.summaries().num_rows == run.manifest.num_rows
    metrics = json.loads(storage.read_bytes(run.folder.metrics))
    assert metrics["split"] == "test"
    assert metrics["overall"]["counts"]["coverage"] == 1


def test_the_first_epoch_came_from_the_stream_and_the_second_from_the_shards(
    history: History,
) -> None:
    first, second = history
    assert first["steps"] == second["steps"] > 0


def test_others_may_extract_into_the_store_while_the_later_epochs_are_trained(
    run: RunContext, refused_run: RefusedRun
) -> None:
    def last_put(below: str) -> int:
        path = f"/{below.removeprefix('s3://')}"
        requests = enumerate(refused_run.requests)
        return max(n for n, r in requests if r.method == "PUT" and r.target.startswith(path))

    assert last_put(f"{run.folder.faces}/lock") < last_put(f"{run.folder.model}/bundle.json")


def test_a_registered_model_is_not_registered_anew(run: RunContext) -> None:
    assert stages.register(run) == "1"


def test_the_mlflow_run_has_its_curve_and_its_origin(run: RunContext, history: History) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(run.tracking_uri, registry_uri=run.tracking_uri)
    logged = client.get_run(run.folder.state().run_id)
    assert logged.info.status == "FINISHED"
    assert logged.data.tags["dfray.recipe_fingerprint"] == run.recipe.fingerprint()
    assert logged.data.tags["dfray.faces_fingerprint"] == run.faces.fingerprint()
    curve = client.get_metric_history(logged.info.run_id, "val_loss")
    assert [point.step for point in curve] == [0, 1]
    assert [p.value for p in curve] == pytest.approx([e["val_loss"] for e in history])
    assert {f.path for f in client.list_artifacts(logged.info.run_id, "evaluation")} == {
        "evaluation/report.html",
        "evaluation/metrics.json",
    }


def test_the_bucket_policy_allows_all_that_it_asked_for(refused_run: RefusedRun) -> None:
    policy = json.loads((Path(__file__).parents[2] / "infra" / "bucket-policy.json").read_text())
    allowed = {action for statement in policy["Statement"] for action in statement["Action"]}
    creation, *requests = refused_run.requests
    assert (creation.method, creation.target) == ("PUT", "/dfray-run")
    assert requests
    assert {action(request) for request in requests} <= allowed


def test_a_stage_without_the_one_before_names_it(tmp_path):
    with pytest.raises(UserError, match=r"no model/bundle.json yet.*dfray train"):
        stages.evaluate(RunContext.of(toy_recipe(tmp_path)))
