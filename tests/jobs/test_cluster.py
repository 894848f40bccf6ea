"""Jobs on a real cluster: submitted by the command line, followed, left, listed, stopped, taken up again.

Every command is a process of its own, in a folder that is no checkout.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from dfray import access
from dfray.errors import ClusterError, JobError
from dfray.jobs import client as jobs_client
from dfray.jobs.client import JobClient
from tests.helpers.cluster import REPOSITORY, LocalCluster, local_cluster
from tests.helpers.corpus import write_corpus
from tests.helpers.processes import wait_for
from tests.helpers.proxy import Fault, Request
from tests.helpers.runs import latest_run, mlflow_status, models_of, store_of

pytestmark = [pytest.mark.ray, pytest.mark.slow]
RECIPE = """
extends: toy.yaml
name: {name}
work_dir: runs
corpora: [{{reader: folder, root: {clips}}}]
batches: {{batch_size: 4}}
"""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Client:
    """Somebody's folder, outside of the checkout, and a cluster to submit to."""

    cluster: LocalCluster
    folder: Path

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "dfray.cli", *words],
            cwd=self.folder,
            env=self.cluster.environment() | {"OMP_NUM_THREADS": "1"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def dfray(self, *words: str, **environment: str) -> Done:
        process = self.start(*words, **environment)
        out, err = process.communicate(timeout=900)
        return Done(process.returncode, out, err)

    def recipe(self, name: str, clips: Path) -> str:
        (self.folder / "elsewhere").mkdir(exist_ok=True)
        toy = (REPOSITORY / "tests/helpers/toy.yaml").read_text()
        (self.folder / "elsewhere" / "toy.yaml").write_text(toy)
        (self.folder / "elsewhere" / f"{name}.yaml").write_text(
            RECIPE.format(name=name, clips=clips)
        )
        return f"elsewhere/{name}.yaml"

    def state(self, job_id: str) -> str:
        listed = json.loads(self.dfray("jobs", "--json").out)
        return next(job["state"] for job in listed if job["id"] == job_id)


@pytest.fixture
def cluster(two_nodes) -> LocalCluster:
    return two_nodes


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    write_corpus(root, 8, seconds=1, splits=("train", "val"))
    return root


@pytest.fixture
def client(cluster, tmp_path) -> Client:
    return Client(cluster, tmp_path)


@pytest.fixture
def token(cluster, monkeypatch) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(cluster.state / "token"))


def files_with(text: bytes, cluster) -> list[Path]:
    """The files of Ray's nodes, logs above all, that hold `text`."""
    folder = Path((cluster.state / "temp").read_text().strip())
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" for path in files)
    return [path for path in files if text in path.read_bytes()]


def test_a_job_is_followed_to_its_end_and_its_results_lie_where_they_would_without_a_cluster(
    client, clips, cluster
):
    recipe = client.recipe("followed", clips)
    words = ["extract", recipe, "faces.rate_fps=2", "--env", "OMP_NUM_THREADS"]
    done = client.dfray("submit", *words, AWS_SECRET_ACCESS_KEY="never-shown")
    assert done.code == 0, done.err
    assert re.search(r"^job +followed-extract-\d{4}-\d{6}$", done.err, re.M)
    assert re.search(r"^working dir +\d+ files, \d+\.\d MiB$", done.err, re.M)
    assert re.search(r"^environment .*AWS_ENDPOINT_URL.*OMP_NUM_THREADS", done.err, re.M)
    assert re.search(r"^not sent .*AWS_SECRET_ACCESS_KEY.*--env NAME", done.err, re.M)
    assert "never-shown" not in done.out + done.err
    assert files_with(b"never-shown", cluster) == []
    assert "✓ job followed-extract-" in done.err
    assert "✓ extract" in done.out
    summaries = store_of(client.folder / "runs", "followed").summaries()
    assert summaries["status"].to_pylist() == ["ok"] * 8
    assert set(summaries["n_frames"].to_pylist()) == {2}, "the override has arrived"


def test_another_cluster_of_this_machine_gets_no_job_of_this_one(client, clips, tmp_path):
    with local_cluster(tmp_path / "other", nodes=1, OBJECT_STORE_MB="100"):
        done = client.dfray("submit", "extract", client.recipe("ours", clips))
    assert done.code == 0, done.out


def test_a_job_that_fails_hands_its_exit_code_and_its_words_on(client, clips):
    failed = client.dfray("submit", "evaluate", client.recipe("early", clips))
    assert failed.code == 2
    assert "early has no model/bundle.json yet. Run `dfray train` with this recipe" in failed.out
    assert re.search(r"Job early-evaluate-\S+ has failed after \S+ with exit code 2", failed.err)
    assert "submit it again" in failed.err


def test_ctrl_c_leaves_the_job_running_and_says_how_to_come_back(client, clips):
    left = client.start("submit", "extract", client.recipe("left", clips))
    for line in left.stdout:
        if "Running entrypoint" in line:
            break
    left.send_signal(signal.SIGINT)
    _, err = left.communicate(timeout=60)
    assert left.returncode == 130
    job_id = re.search(r"job (left-extract-\S+) continues to run", err)[1]
    assert f"dfray logs {job_id} --follow" in err
    assert f"dfray stop {job_id}" in err
    assert client.state(job_id) in ("RUNNING", "SUCCEEDED")

    back = client.dfray("logs", job_id, "--follow")
    assert back.code == 0, back.out
    assert back.out.count("✓ extract") == 1
    assert client.dfray("logs", job_id).out == back.out
    again = client.dfray("stop", job_id)
    assert (again.code, again.out) == (0, "")
    assert f"Job {job_id} was over already: SUCCEEDED" in again.err


def test_jobs_are_listed_with_whose_they_are(client, clips):
    submitted = client.dfray("submit", "evaluate", client.recipe("listed", clips), "--detach")
    job_id = submitted.out.strip()
    assert submitted.code == 0
    assert re.fullmatch(r"listed-evaluate-\d{4}-\d{6}", job_id)
    wait_for(lambda: client.state(job_id) == "FAILED")
    shown = client.dfray("jobs", COLUMNS="160")
    columns = ["id", "stage", "recipe", "user", "state", "age", "duration"]
    assert shown.out.splitlines()[0].split() == columns
    assert re.search(rf"^{job_id} +evaluate +listed +\S+ +FAILED +0:", shown.out, re.M)
    job = json.loads(client.dfray("jobs", "--json").out)[0]
    assert (job["id"], job["driver_exit_code"], len(job["fingerprint"])) == (job_id, 2, 16)


def test_a_job_that_is_none_is_refused_with_the_nearest(client, clips):
    job_id = client.dfray(
        "submit", "evaluate", client.recipe("near", clips), "--detach"
    ).out.strip()
    for words in (["logs", job_id + "x"], ["logs", job_id + "x", "-f"], ["stop", job_id + "x"]):
        done = client.dfray(*words)
        assert (done.code, done.out) == (2, "")
        assert f"has no job '{job_id}x'. Did you mean {job_id}?" in done.err


def test_a_wrong_token_and_none_are_one_line_within_seconds(client, clips):
    wrong = {"RAY_AUTH_TOKEN": "wrong", "HOME": str(client.folder)}
    none = {"RAY_AUTH_TOKEN_PATH": "", "HOME": str(client.folder)}
    recipe = client.recipe("kept-out", clips)
    address = f"cluster.address={client.cluster.address}"
    for words in (["jobs"], ["submit", "extract", recipe], ["extract", recipe, address]):
        for environment, told in ((wrong, "refuses the token"), (none, "there is none here")):
            start = time.monotonic()
            done = client.dfray(*words, **environment)
            assert (done.code, done.out) == (2, "")
            (line,) = [line for line in done.err.splitlines() if not line.startswith("✓ ")]
            assert line.startswith("dfray: error: The cluster at ")
            assert told in line
            assert time.monotonic() - start < 30


def test_a_driver_of_another_ray_is_refused_with_both_versions(cluster, token, monkeypatch):
    monkeypatch.setattr(access.importlib.metadata, "version", lambda name: "2.40.0")
    with pytest.raises(
        ClusterError, match=r"runs Ray \d+\.\d+\.\d+, and this environment has Ray 2\.40\.0"
    ):
        access.require_gcs(cluster.address)


def test_a_working_directory_that_is_too_large_is_refused_before_it_is_read(client, clips):
    with open(client.folder / "weights.bin", "wb") as sparse:
        sparse.truncate(200 * 2**20)
    done = client.dfray("submit", "extract", client.recipe("large", clips))
    assert (done.code, done.out) == (2, "")
    assert "The largest: weights.bin (200.0 MiB)" in done.err


def test_an_upload_that_is_cut_off_leaves_nothing_behind(cluster, token):
    host, port = cluster.jobs_url.removeprefix("http://").split(":")
    path = "/api/packages/gcs/_ray_pkg_0123456789abcdef.zip"
    header = access.authorization()["authorization"]
    with socket.create_connection((host, int(port))) as cut:
        head = f"PUT {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {header}\r\n"
        cut.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode() + b"x" * 1000)
    asked = urllib.request.Request(cluster.jobs_url + path, headers=access.authorization())
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(asked, timeout=10)


@pytest.mark.slow
def test_a_dashboard_that_hangs_is_given_up_and_what_it_says_later_is_not_said_twice(
    client, clips, token, monkeypatch
):
    monkeypatch.setattr(jobs_client, "_AWAY_S", 4.0)
    monkeypatch.setattr(jobs_client, "_SILENT_S", 1.0)
    monkeypatch.setattr(access, "_TIMEOUT_S", 1.0)
    job_id = client.dfray("submit", "extract", client.recipe("hung", clips), "--detach").out.strip()
    jobs, said = JobClient(client.cluster.jobs_url), []
    (dashboard,) = [
        process
        for process in client.cluster.processes("head")
        if any("dashboard/dashboard.py" in word for word in process.cmdline())
    ]
    dashboard.suspend()
    try:
        with pytest.raises(
            JobError, match=r"no longer answers: .* timed out.* may be running still"
        ):
            jobs.follow(job_id, said.append)
    finally:
        dashboard.resume()
    monkeypatch.setattr(jobs_client, "_AWAY_S", 60.0)
    job = jobs.follow(job_id, said.append)
    assert job.state == "SUCCEEDED"
    assert "".join(said) == jobs.logs(job_id)


@pytest.mark.slow
def test_a_job_that_is_stopped_ends_cleanly_and_goes_on_when_it_is_submitted_again(client, clips):
    """Stopped as the first checkpoint begins to appear: it is whole, or it is not there."""
    words = ["submit", "train", client.recipe("stopped", clips), "training.epochs=40"]
    job_id = client.dfray(*words, "--detach").out.strip()
    twice = client.dfray(*words)
    assert (twice.code, twice.out) == (2, "")
    assert re.search(f"Job {job_id} of .* already uses .*stopped.*dfray stop", twice.err)
    kept = client.folder / "runs" / "stopped"
    wait_for(lambda: any(kept.glob("*/train/epoch-*")), 200)
    stopped = client.dfray("stop", job_id)
    assert stopped.code == 0
    assert f"Job {job_id} was stopped" in stopped.err
    assert client.state(job_id) == "STOPPED"
    log = client.dfray("logs", job_id).out
    assert "Stopped. Run the same command again to resume." in log
    assert "Traceback" not in log
    assert client.dfray("logs", job_id, "--follow").code == 143
    assert mlflow_status(client.folder / "runs", "stopped") == "KILLED"

    again = client.dfray(*words)
    assert again.code == 0, again.out
    assert re.search(r"training resumes after epoch \d+ of 40", again.out)
    assert mlflow_status(client.folder / "runs", "stopped") == "FINISHED"
    assert (latest_run(client.folder / "runs", "stopped") / "model" / "bundle.json").exists()
    summaries = store_of(client.folder / "runs", "stopped").summaries()
    assert sorted(set(summaries["video_id"].to_pylist())) == sorted(
        summaries["video_id"].to_pylist()
    )
    assert summaries.num_rows == 8


@pytest.mark.slow
def test_a_job_that_is_stopped_in_the_middle_of_an_upload_leaves_nothing_that_is_taken_for_whole(
    client, clips, bucket, s3_faults
):
    """The second checkpoint is on its way into the bucket, which takes its bytes and does not answer."""
    hung = []

    def hang(request: Request) -> Fault | None:
        if request.method != "PUT" or "/train/epoch-001/" not in request.target:
            return None
        hung.append(request)
        return Fault(503, "SlowDown", delay_s=30)

    s3_faults.fault = hang
    words = ["submit", "train", client.recipe("cut", clips), f"work_dir={bucket}"]
    words += [f"registry.tracking_uri=sqlite:///{client.folder}/mlflow.db", "training.epochs=3"]
    job_id = client.dfray(*words, "--detach").out.strip()
    wait_for(lambda: bool(hung), 200)
    stopped = client.dfray("stop", job_id)
    assert f"Job {job_id} was stopped" in stopped.err
    s3_faults.pass_on()
    assert not models_of(bucket, "cut")

    again = client.dfray(*words)
    assert again.code == 0, again.out
    assert "training resumes after epoch 1 of 3" in again.out
    assert models_of(bucket, "cut")
    summaries = store_of(bucket).summaries()
    assert len(set(summaries["video_id"].to_pylist())) == summaries.num_rows == 8


@pytest.mark.slow
def test_a_job_whose_driver_is_killed_is_told_as_failed_and_goes_on_when_submitted_again(
    client, clips
):
    import psutil

    words = ["submit", "train", client.recipe("killed", clips), "training.epochs=40"]
    followed = client.start(*words)
    kept = client.folder / "runs" / "killed"
    wait_for(
        lambda: any(kept.glob("*/train/epoch-009")), 200
    )  # Ray notes a checkpoint some seconds after it is there
    (driver,) = [
        process
        for process in psutil.process_iter(["cmdline"])
        if any("jobs/train.py" in word for word in process.info["cmdline"] or [])
        and process.cwd() == str(client.folder)
    ]
    os.kill(driver.pid, signal.SIGKILL)
    _, err = followed.communicate(timeout=120)
    assert followed.returncode == 128 + signal.SIGKILL
    assert "with exit code 137" in err
    again = client.dfray(*words)
    assert again.code == 0, again.out
    assert re.search(r"training resumes after epoch \d+ of 40", again.out)


@pytest.mark.slow
def test_a_job_that_fails_in_training_says_stage_worker_and_step(client, clips):
    """A learning rate at which the loss is soon no number."""
    words = ["training.lr=1e30", "training.warmup_epochs=0", "training.max_failures=0"]
    words += ["faces.rate_fps=2"]  # so that there are two steps, and the second finds it
    failed = client.dfray("submit", "train", client.recipe("diverged", clips), *words)
    assert failed.code == 1
    told = (
        r"^dfray: failed: .*train: worker \d of 2, epoch \d of 3, step \d+: The loss .* not finite"
    )
    assert re.search(told, failed.out, re.M), failed.out
    assert "Its batch is saved in" in failed.out
