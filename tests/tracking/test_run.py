"""One MLflow run for one training run."""

import hashlib
import math
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import dfray
from dfray.config import CorpusSection, Recipe, RegistrySection, TrainingSection
from dfray.errors import RegistryError, UserError
from dfray.nested import flatten
from dfray.tracking import provenance
from dfray.tracking.client import connect
from dfray.tracking.run import Run, start_run
from tests.helpers.rows import fake_row, video_row, videos_table


def recipe(**changes) -> Recipe:
    return Recipe(
        name="tiny",
        description="A run for tests.",
        corpora=[CorpusSection(reader="folder", root="clips", dataset="mine")],
        training=TrainingSection(lr=0.003),
        registry=RegistrySection(experiment="tracking tests"),
        **changes,
    )


def begin(tracking_uri: str, run_id: str | None = None, **changes) -> Run:
    return start_run(
        recipe(**changes),
        tracking_uri,
        manifest_fingerprint="m" * 16,
        run_id=run_id,
    )


def test_a_run_tells_recipe_code_and_data(tracking_uri: str):
    with begin(tracking_uri) as run:
        run.set_tags({"dfray.faces_fingerprint": "f" * 16})
    data = connect(tracking_uri).get_run(run.run_id).data
    assert data.params["training.lr"] == "0.003"
    assert data.params["corpora.0.dataset"] == "mine"
    assert len(data.params) == len(list(flatten(recipe().model_dump(mode="json"))))
    assert data.tags["dfray.recipe_fingerprint"] == recipe().fingerprint()
    assert data.tags["dfray.manifest_fingerprint"] == "m" * 16
    assert data.tags["dfray.faces_fingerprint"] == "f" * 16
    assert data.tags["dfray.version"] == dfray.__version__
    assert data.tags["mlflow.note.content"] == "A run for tests."


def test_the_code_version_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    (tmp_path / "dfray").mkdir()
    (tmp_path / "requirements-dev.txt").write_text("torch==2\n")
    monkeypatch.setattr(dfray, "__file__", str(tmp_path / "dfray" / "__init__.py"))
    assert provenance.code_version() == {"dfray.version": dfray.__version__}
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    tags = provenance.code_version()
    assert tags["mlflow.source.git.commit"] == git("rev-parse", "HEAD")
    assert tags["dfray.git_dirty"] == "false"
    assert tags["dfray.lock_sha256"] == hashlib.sha256(b"torch==2\n").hexdigest()
    (tmp_path / "requirements-dev.txt").write_text("torch==3\n")
    assert provenance.code_version()["dfray.git_dirty"] == "true"


def test_metrics_and_files_are_kept(tracking_uri: str, tmp_path: Path):
    report = tmp_path / "report.html"
    report.write_text("<p>report</p>")
    with begin(tracking_uri) as run:
        run.log_metrics({"train/loss": 0.7, "val/auc": None}, step=0)
        run.log_metrics({"train/loss": 0.5, "val/auc": 0.9}, step=1)
        run.log_files([report], folder="evaluation")
        run.log_texts({"evaluation/metrics.json": "{}"})
    client = connect(tracking_uri)
    losses = client.get_metric_history(run.run_id, "train/loss")
    assert [(m.step, m.value) for m in losses] == [(0, 0.7), (1, 0.5)]
    assert [m.step for m in client.get_metric_history(run.run_id, "val/auc")] == [1]
    kept = {file.path for file in client.list_artifacts(run.run_id, "evaluation")}
    assert kept == {"evaluation/report.html", "evaluation/metrics.json"}
    folder = client.download_artifacts(run.run_id, "recipe.yaml")
    assert "name: tiny" in Path(folder).read_text()
    assert client.get_run(run.run_id).info.status == "FINISHED"


def test_the_latest_value_of_what_is_no_curve_is_the_one_that_is_shown(tracking_uri: str):
    run = begin(tracking_uri)
    run.log_latest({"test/auc": 0.9, "test/brier": 0.2}, "test")
    run.log_latest({"test/auc": 0.8, "test/brier": 0.2}, "test")
    client = connect(tracking_uri)
    assert client.get_run(run.run_id).data.metrics == {"test/auc": 0.8, "test/brier": 0.2}
    assert len(client.get_metric_history(run.run_id, "test/brier")) == 1
    run.finish()


def test_a_figure_that_is_not_defined_any_more_is_not_shown_as_the_latest(tracking_uri: str):
    run = begin(tracking_uri)
    run.log_latest({"kept/epoch": 3.0}, "kept")
    for figures in ({"test/auc": 0.9, "test/a/auc": 0.7}, {"test/auc": 0.9}, {"test/auc": 0.9}):
        run.log_latest(figures, "test")
    shown = connect(tracking_uri).get_run(run.run_id).data.metrics
    assert (shown["kept/epoch"], shown["test/auc"]) == (3.0, 0.9)
    assert math.isnan(shown["test/a/auc"])
    assert len(connect(tracking_uri).get_metric_history(run.run_id, "test/a/auc")) == 2
    run.finish()


def test_mlflow_shows_inputs_source_and_an_experiment_of_model_training(tracking_uri: str):
    videos = videos_table([video_row("a"), fake_row("b"), fake_row("c", split="test")])
    run = start_run(recipe(), tracking_uri, manifest_fingerprint="m" * 16, videos=videos)
    client = connect(tracking_uri)
    stored = client.get_run(run.run_id)
    inputs = {one.tags[0].value: one.dataset.name for one in stored.inputs.dataset_inputs}
    assert inputs == {"training": "toy", "testing": "toy"}
    assert stored.data.tags["mlflow.source.type"] == "LOCAL"
    assert stored.data.tags["mlflow.source.name"] == provenance.command()
    experiment = client.get_experiment(stored.info.experiment_id)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    run.finish()


def test_an_experiment_that_exists_is_marked_unless_somebody_chose_its_kind(tracking_uri: str):
    client = connect(tracking_uri)
    ids = [client.create_experiment(name) for name in ("of before", "of somebody")]
    client.set_experiment_tag(ids[1], "mlflow.experimentKind", "genai_development")
    for name in ("of before", "of somebody"):
        named = recipe().model_copy(update={"registry": RegistrySection(experiment=name)})
        start_run(named, tracking_uri, manifest_fingerprint="m" * 16).finish()
    kinds = [client.get_experiment(one).tags["mlflow.experimentKind"] for one in ids]
    assert kinds == ["custom_model_development", "genai_development"]


def test_the_command_of_a_run_holds_no_password(monkeypatch: pytest.MonkeyPatch):
    argv = ["/bin/dfray", "train", "my file.yaml", "work_dir=s3://me:secret@host/runs"]
    monkeypatch.setattr(sys, "argv", argv)
    assert provenance.command().startswith("dfray train 'my file.yaml' ")
    assert "secret" not in provenance.command()


def test_a_run_that_is_entered_again_goes_on(tracking_uri: str):
    class LostError(Exception):
        pass

    def train(run: Run, first: int, last: int, *, lost: bool) -> None:
        with run:
            for epoch in range(first, last):
                run.log_metrics({"loss": 1 / (epoch + 1)}, step=epoch)
            if lost:
                raise LostError

    run = begin(tracking_uri)
    with pytest.raises(LostError):
        train(run, 0, 3, lost=True)
    client = connect(tracking_uri)
    assert client.get_run(run.run_id).info.status == "FAILED"
    # The checkpoint of epoch 1 was the last one whole: epoch 2 is trained and logged again.
    train(begin(tracking_uri, run.run_id), 2, 5, lost=False)
    steps = [metric.step for metric in client.get_metric_history(run.run_id, "loss")]
    assert steps == [0, 1, 2, 3, 4]
    assert client.get_run(run.run_id).info.status == "FINISHED"


def test_a_run_goes_on_in_another_process(tracking_uri: str):
    run = begin(tracking_uri)
    run.log_metrics({"loss": 1.0}, step=0)
    other = pickle.loads(pickle.dumps(run))
    other.log_metrics({"loss": 0.5}, step=1)
    history = connect(tracking_uri).get_metric_history(run.run_id, "loss")
    assert [metric.step for metric in history] == [0, 1]
    other.finish()


def test_a_run_of_another_recipe_is_not_entered(tracking_uri: str):
    run = begin(tracking_uri)
    with pytest.raises(UserError, match="was made with recipe"):
        begin(tracking_uri, run.run_id, seed=7)


def test_a_run_that_does_not_exist(tracking_uri: str):
    with pytest.raises(RegistryError, match="could not enter run 0123"):
        begin(tracking_uri, "0123456789abcdef0123456789abcdef")
