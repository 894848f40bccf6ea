"""A request becomes a job: the recipe is resolved, its paths can be read on the cluster, its name is free."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dfray.config import Recipe
from dfray.errors import UserError
from dfray.jobs.submission import RECIPE_FILE, JobRequest, prepare
from dfray.recipe import load_recipe
from dfray.tracking.provenance import CODE_FILE, code_version
from tests.helpers.toy import toy_recipe

REMOTE = ["work_dir=s3://bucket/runs", "corpora.0.root=s3://bucket/clips"]


def request(folder: Path, recipe: Recipe | None, stage: str = "train", *options: str) -> JobRequest:
    (folder / "empty").mkdir(exist_ok=True)
    return JobRequest(stage, recipe, list(options), folder / "empty", [])


def shipped(submission, folder: Path) -> Recipe:
    (folder / "shipped.yaml").write_bytes(submission.package.files[RECIPE_FILE])
    return load_recipe(str(folder / "shipped.yaml"))


def test_the_recipe_goes_along_with_what_it_extends_and_the_overrides_in_it(tmp_path):
    (tmp_path / "base.yaml").write_text(
        (Path(__file__).parents[1] / "helpers/toy.yaml").read_text()
    )
    (tmp_path / "mine.yaml").write_text("extends: base.yaml\nname: mine\ntraining: {lr: 0.5}\n")
    recipe = load_recipe(
        str(tmp_path / "mine.yaml"), ["training.epochs=9", "cluster.address=10.0.0.1:6379"]
    )
    sent = shipped(prepare(request(tmp_path, recipe), same_machine=True), tmp_path)
    assert (sent.name, sent.training.lr, sent.training.epochs) == ("mine", 0.5, 9)
    assert sent.model == recipe.model
    assert sent.fingerprint() == recipe.fingerprint()
    assert sent.cluster.address is None, "the job is on its cluster already"


def test_the_job_says_whose_it_is_and_its_id_can_be_read(tmp_path):
    recipe = toy_recipe(tmp_path)
    submission = prepare(request(tmp_path, recipe), same_machine=True)
    name, stage, *stamp = submission.job_id.split("-")
    assert (name, stage) == ("toy", "train")
    assert [len(digits) for digits in stamp] == [4, 6]
    assert submission.metadata["dfray.recipe"] == "toy"
    assert submission.metadata["dfray.stage"] == "train"
    assert submission.metadata["dfray.fingerprint"] == recipe.fingerprint()
    assert submission.metadata["dfray.folder"] == f"{tmp_path}/toy"
    assert submission.metadata["dfray.user"]


def test_the_dfray_that_submits_goes_along_and_says_its_commit(tmp_path):
    package = prepare(request(tmp_path, toy_recipe(tmp_path)), same_machine=True).package
    import dfray

    package_folder = Path(dfray.__file__).parent
    assert package.files["dfray/session.py"] == package_folder / "session.py"
    assert "dfray/pages/templates/page.css" in package.files
    assert {"jobs/train.py", "jobs/recipes/demo.yaml"} <= set(package.files)
    assert json.loads(package.files[CODE_FILE]) == code_version()
    assert package.size_bytes < 5 * 2**20


def test_code_that_was_submitted_is_told_as_what_it_was(tmp_path, monkeypatch):
    import dfray

    (tmp_path / "dfray").mkdir()
    (tmp_path / CODE_FILE).parent.mkdir()
    (tmp_path / CODE_FILE).write_text('{"mlflow.source.git.commit": "abc"}')
    monkeypatch.setattr(dfray, "__file__", str(tmp_path / "dfray" / "__init__.py"))
    assert code_version() == {"mlflow.source.git.commit": "abc"}


def test_elsewhere_the_script_runs_in_the_package(tmp_path):
    recipe = toy_recipe(tmp_path, "toy", *REMOTE, "registry.tracking_uri=http://tracking:5000")
    submission = prepare(
        request(tmp_path, recipe, "promote", "--version", "a b"), same_machine=False
    )
    command = shlex.split(submission.entrypoint)
    script, file = "jobs/promote.py", RECIPE_FILE
    assert command == ["exec", "python", script, file, "--version", "a b"]


def test_on_this_machine_the_script_runs_in_the_current_directory(tmp_path, monkeypatch):
    """So relative paths mean what they mean without a cluster; run here as the cluster's shell runs it."""
    (tmp_path / "with space").mkdir()
    monkeypatch.chdir(tmp_path / "with space")
    entrypoint = prepare(request(tmp_path, toy_recipe("runs")), same_machine=True).entrypoint
    package = tmp_path / "package"
    (package / "jobs").mkdir(parents=True)
    (package / "jobs" / "train.py").write_text("import os, sys; print(os.getcwd(), *sys.argv[1:])")
    done = subprocess.run(
        entrypoint, shell=True, cwd=package, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[0] == f"{tmp_path}/with space {package}/{RECIPE_FILE}"
    assert sys.executable in entrypoint


def test_a_run_folder_that_the_cluster_does_not_see_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"work_dir runs lies on this machine.*s3://"):
        prepare(request(tmp_path, toy_recipe("runs", "toy", REMOTE[1])), same_machine=False)


def test_a_corpus_that_the_cluster_does_not_see_is_refused_but_a_list_goes_along(tmp_path):
    recipe = toy_recipe("s3://bucket/runs", "toy", "corpora.0.root=clips")
    with pytest.raises(UserError, match=r"corpora.0.root clips lies on this machine"):
        prepare(request(tmp_path, recipe), same_machine=False)
    (tmp_path / "empty").mkdir(exist_ok=True)
    (tmp_path / "empty" / "list.csv").write_text("uri,label\ns3://bucket/1.mp4,real\n")
    listed = toy_recipe("s3://bucket/runs", "toy", "corpora.0={reader: csv, root: list.csv}")
    packed = prepare(request(tmp_path, listed, "extract"), same_machine=False).package
    assert "list.csv" in packed.files


def test_a_file_to_score_that_the_cluster_does_not_see_is_refused(tmp_path):
    files = ("s3://bucket/1.mp4", "/shared/2.mp4", "3.mp4")
    scored = JobRequest("score", None, list(files), tmp_path, [], files)
    with pytest.raises(UserError, match=r"^3.mp4 lies on this machine"):
        prepare(scored, same_machine=False)
    entrypoint = prepare(scored, same_machine=True).entrypoint
    assert entrypoint.endswith('"$OLDPWD"/jobs/score.py s3://bucket/1.mp4 /shared/2.mp4 3.mp4')


def test_a_job_that_would_read_standard_input_is_refused(tmp_path):
    with pytest.raises(UserError, match="A job has no standard input"):
        prepare(JobRequest("score", None, ["-"], tmp_path, [], ("-",)), same_machine=True)


def test_elsewhere_the_tracking_server_must_be_known_before_anything_is_trained(
    tmp_path, monkeypatch
):
    recipe = toy_recipe(tmp_path, "toy", *REMOTE)
    assert prepare(request(tmp_path, recipe, "extract"), same_machine=False)
    with pytest.raises(UserError, match="registry.tracking_uri is empty"):
        prepare(request(tmp_path, recipe, "train"), same_machine=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert "MLFLOW_TRACKING_URI" in prepare(request(tmp_path, recipe), same_machine=False).variables


def test_preparing_a_job_claims_nothing(tmp_path):
    prepare(request(tmp_path, toy_recipe(tmp_path)), same_machine=True)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
