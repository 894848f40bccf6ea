"""The whole road, walked for real: on s3, and again after it was walked."""

import json
from pathlib import Path

import pytest

from dfray import stages, storage
from dfray.datasets.manifest import read_manifest
from dfray.errors import UserError
from dfray.recipe import load_recipe
from dfray.run_context import RunContext
from dfray.run_folder import RunFolder
from tests.helpers.s3_actions import action
from tests.helpers.toy import toy_recipe

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

SMALL = [
    "demo.train_identities=4",
    "demo.val_identities=2",
    "demo.test_identities=3",
    "demo.duration_s=1.25",
    "batches.batch_size=8",
    "training.epochs=2",
    "registry.gates.min_auc=0",
    "registry.gates.min_balanced_accuracy=0",
    "registry.gates.min_videos=6",
]


@pytest.fixture(scope="module")
def road(s3_endpoint, ray_session, tmp_path_factory):
    """(recipe, result) of a small demo whose every file lies on s3; only MLflow's is local."""
    import boto3

    boto3.client("s3", endpoint_url=s3_endpoint).create_bucket(Bucket="dfray-road")
    mlflow_db = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    recipe = load_recipe(
        "demo",
        ["work_dir=s3://dfray-road/runs", f"registry.tracking_uri=sqlite:///{mlflow_db}", *SMALL],
    )
    return recipe, stages.run_pipeline(RunContext.of(recipe))


def test_it_ends_with_a_champion_that_scored_an_unseen_clip(road):
    _, result = road
    assert result.decision.promoted
    assert result.version == "1"
    (scored,) = result.scored
    assert 0 <= scored.fake_probability <= 1
    assert scored.n_faces > 0
    assert result.metrics.overall.counts.coverage == 1


def test_everything_it_made_lies_on_s3(road):
    recipe, result = road
    folder = RunFolder(recipe)
    assert folder.report.startswith("s3://")
    assert b"<html" in storage.read_bytes(folder.report)
    assert result.run.manifest.equals(read_manifest(folder.manifest))
    summaries = result.run.faces.summaries()
    assert summaries.num_rows == result.run.manifest.num_rows
    assert json.loads(storage.read_bytes(folder.metrics))["split"] == "test"


def test_the_first_epoch_came_from_the_stream_and_the_second_from_the_shards(road):
    _, result = road
    first, second = result.history
    assert first["steps"] == second["steps"] > 0


def test_walked_again_it_extracts_trains_and_registers_nothing_anew(road):
    recipe, result = road
    before = {uri: storage.read_bytes(uri) for uri in result.run.faces.shards("train")}
    assert stages.train(RunContext.of(recipe)) == result.history
    assert stages.register(RunContext.of(recipe)) == "1"
    assert {uri: storage.read_bytes(uri) for uri in result.run.faces.shards("train")} == before


def test_the_runs_mlflow_run_has_its_curve_and_its_origin(road):
    from mlflow import MlflowClient

    recipe, result = road
    client = MlflowClient(result.run.tracking_uri, registry_uri=result.run.tracking_uri)
    run = client.get_run(RunFolder(recipe).state().run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["dfray.recipe_fingerprint"] == recipe.fingerprint()
    assert run.data.tags["dfray.faces_fingerprint"] == result.run.faces.fingerprint()
    curve = client.get_metric_history(run.info.run_id, "val_loss")
    assert [point.step for point in curve] == [0, 1]
    assert [p.value for p in curve] == pytest.approx([e["val_loss"] for e in result.history])
    assert {f.path for f in client.list_artifacts(run.info.run_id, "evaluation")} == {
        "evaluation/report.html",
        "evaluation/metrics.json",
    }


def test_the_bucket_policy_allows_what_the_road_asked_for(road, s3_proxy):
    policy = json.loads((Path(__file__).parents[2] / "infra" / "bucket-policy.json").read_text())
    allowed = {action for statement in policy["Statement"] for action in statement["Action"]}
    requests_of_run = [r for r in s3_proxy.requests if r.target.startswith("/dfray-road")]
    creation, *requests = requests_of_run
    assert (creation.method, creation.target) == ("PUT", "/dfray-road")
    assert {action(request) for request in requests} <= allowed


def test_a_stage_without_the_one_before_names_it(tmp_path):
    with pytest.raises(UserError, match=r"no model/bundle.json yet.*dfray train"):
        stages.evaluate(RunContext.of(toy_recipe(tmp_path)))
