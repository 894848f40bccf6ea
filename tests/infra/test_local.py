"""infra/local.sh: MLflow on PostgreSQL and S3, without Docker, and nothing left of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.helpers.processes import wait_for

ROOT = Path(__file__).parents[2]


def local_sh(
    state: Path, *arguments: str, script: str = "local.sh"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "infra" / script, *arguments],
        env=environment(state),
        capture_output=True,
        text=True,
        check=False,
    )


def environment(state: Path) -> dict[str, str]:
    return os.environ | {"DFRAY_INFRA_DIR": str(state), "PYTHON": sys.executable}


def processes(state: Path) -> list[psutil.Process]:
    """What runs of it: the groups that `up` started, and PostgreSQL, which has left its group."""
    groups = {int(file.read_text()) for file in state.glob("*.pid")}
    return [p for p in psutil.process_iter() if group_of(p) in groups or serves(p, state)]


def group_of(process: psutil.Process) -> int | None:
    """None of one that has ended; zombies, which whoever adopted them may leave, have."""
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else os.getpgid(process.pid)
    except (psutil.Error, ProcessLookupError):
        return None


def serves(process: psutil.Process, state: Path) -> bool:
    try:
        return process.name() == "postgres" and str(state / "database") in process.cmdline()
    except psutil.Error:
        return False


def exports(text: str) -> dict[str, str]:
    lines = [line.removeprefix("export ") for line in text.splitlines()]
    return dict(line.split("=", 1) for line in lines)


def test_where_nothing_is_up_it_says_so(tmp_path: Path):
    assert local_sh(tmp_path, "down").returncode == 0
    for command in ("env", "status"):
        told = local_sh(tmp_path, command)
        assert (told.returncode, told.stdout) == (2, "")
        assert told.stderr.startswith("Nothing is up; start it with: ")
    usage = local_sh(tmp_path)
    assert usage.returncode == 2
    assert "infra/local.sh up" in usage.stdout


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("infra")
    up = local_sh(folder, "up")
    assert up.returncode == 0, up.stderr
    yield folder
    local_sh(folder, "down")


def test_runs_are_kept_in_postgresql_and_their_files_in_the_bucket(
    state: Path, monkeypatch: pytest.MonkeyPatch
):
    import boto3
    import sqlalchemy
    from mlflow import MlflowClient

    for name, value in exports(local_sh(state, "env").stdout).items():
        monkeypatch.setenv(name, value)
    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    run_id = client.create_run("0").info.run_id
    client.log_metric(run_id, "loss", 0.5)
    client.log_text(run_id, "kept", "note.txt")
    database = sqlalchemy.create_engine((state / "database.uri").read_text())
    with database.connect() as connection:
        query = sqlalchemy.text("select run_uuid, key, value from metrics")
        assert [tuple(row) for row in connection.execute(query)] == [(run_id, "loss", 0.5)]
    database.dispose()
    bucket = os.environ["DFRAY_BUCKET"].removeprefix("s3://")
    (found,) = boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    assert found["Key"] == f"mlflow/0/{run_id}/artifacts/note.txt"


def test_it_listens_on_loopback_alone(state: Path):
    listening = {
        connection.laddr.ip
        for process in processes(state)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_the_demo_does_not_take_over_what_was_up_before_it_nor_end_it(state: Path):
    refused = local_sh(state, script="demo.sh")
    assert (refused.returncode, refused.stderr[:17]) == (2, "It is up already ")
    assert "down" not in local_sh(state, "status").stdout


def test_it_is_not_started_twice_and_down_leaves_nothing_of_it(state: Path):
    again = local_sh(state, "up")
    assert (again.returncode, again.stderr[:17]) == (2, "It is up already ")
    assert local_sh(state, "status").stdout.splitlines() == [
        "postgres runs",
        "s3 runs",
        "mlflow runs",
    ]
    before = processes(state)
    assert len(before) >= 4
    assert local_sh(state, "down").returncode == 0
    assert [process for process in before if group_of(process)] == []
    assert {file.suffix for file in state.iterdir()} == {".log"}


def test_what_is_interrupted_while_it_comes_up_leaves_nothing(tmp_path: Path):
    command = [ROOT / "infra" / "local.sh", "up"]
    with subprocess.Popen(command, env=environment(tmp_path), stdout=subprocess.DEVNULL) as up:
        wait_for((tmp_path / "mlflow.pid").exists)
        started = processes(tmp_path)
        up.terminate()
    assert len(started) >= 3
    assert [process for process in started if group_of(process)] == []
    assert {file.suffix for file in tmp_path.iterdir()} == {".log"}


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_small_demo_runs_on_two_nodes_and_s3_and_leaves_nothing(tmp_path: Path):
    folders = {
        "DFRAY_INFRA_DIR": str(tmp_path / "infra"),
        "DFRAY_CLUSTER_DIR": str(tmp_path / "cluster"),
        "RAY": str(Path(sys.executable).parent / "ray"),
        "PYTHON": sys.executable,
    }
    small = [
        "demo.train_identities=4",
        "demo.val_identities=2",
        "demo.test_identities=3",
        "batches.batch_size=8",
        "training.epochs=2",
        "registry.gates.min_auc=0",
        "registry.gates.min_balanced_accuracy=0",
        "registry.gates.min_videos=6",
    ]
    before = {process.pid for process in psutil.process_iter()}
    done = subprocess.run(
        [ROOT / "infra" / "demo.sh", "demo", *small],
        env=os.environ | folders | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "dfray-demo version 1 is the champion." in done.stdout
    assert re.search("s3://dfray/runs/demo/[0-9a-f]{12}/evaluation/report.html", done.stdout)
    left = [p for p in psutil.process_iter() if p.pid not in before and names(p, tmp_path)]
    assert left == []


def names(process: psutil.Process, folder: Path) -> bool:
    try:
        return str(folder) in " ".join(process.cmdline())
    except psutil.Error:
        return False
