"""cluster/local.sh: nodes on this machine, on which a recipe runs as it would on several machines."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.helpers.cluster import LocalCluster, is_alive, local_cluster
from tests.helpers.corpus import write_corpus
from tests.helpers.runs import latest_run, store_of
from tests.helpers.toy import toy_recipe


def test_without_a_cluster_it_says_so(tmp_path):
    cluster = LocalCluster(tmp_path)
    assert cluster.sh("down").returncode == 0
    for command in ("status", "env", "add"):
        done = cluster.sh(command)
        assert done.returncode == 2
        assert done.stderr.startswith("No cluster is up; start one with: ")
    usage = cluster.sh()
    assert usage.returncode == 2
    assert "local.sh up [NODES]" in usage.stdout
    assert "set -euo" not in usage.stdout


def test_what_a_crash_has_left_does_not_count_as_a_cluster(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / "head.pid").write_text(str(ended.pid))
    cluster = LocalCluster(tmp_path)
    assert cluster.sh("status").returncode == 2
    assert cluster.sh("down").returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_down_says_what_a_shell_must_forget_that_took_over_its_variables(tmp_path):
    cluster = LocalCluster(tmp_path, RAY_AUTH_TOKEN_PATH=str(tmp_path / "token"))
    names = "RAY_AUTH_MODE RAY_AUTH_TOKEN_PATH RAY_ADDRESS RAY_API_SERVER_ADDRESS"
    assert cluster.sh("down").stdout.endswith(f"Run: unset {names}\n")
    assert LocalCluster(tmp_path).sh("down").stdout == ""


def test_a_port_in_use_is_said_and_nothing_is_started(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cluster = LocalCluster(tmp_path, PORT=str(port))
        up = cluster.sh("up")
    assert up.returncode == 2
    assert up.stderr.startswith(f"Port {port} is in use; name another in PORT")
    assert cluster.processes() == []


def test_a_number_of_nodes_that_is_none_is_refused(tmp_path):
    up = LocalCluster(tmp_path).sh("up", "two")
    assert (up.returncode, up.stderr) == (2, "NODES is two; it must be 1 or more.\n")


NODES = """
import json, ray
ray.init(log_to_driver=False)
print(json.dumps({n["NodeName"]: n["Labels"]["role"] for n in ray.nodes() if n["Alive"]}))
"""


@pytest.mark.ray
@pytest.mark.slow
def test_nodes_come_with_labels_and_a_token_and_go_one_by_one(tmp_path):
    import json
    import sys

    def alive() -> dict[str, str]:
        done = subprocess.run(
            [sys.executable, "-c", NODES],
            env=cluster.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout.splitlines()[-1])

    with local_cluster(tmp_path / "state") as cluster:
        token = cluster.state / "token"
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        assert len(token.read_text().strip()) == 64
        assert alive() == {"head": "cpu", "worker-1": "gpu"}
        temporary = Path((cluster.state / "temp").read_text().strip())
        for folder in (temporary, cluster.state):  # Ray opens what lies inside to all
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {path.parts[-3] for path in temporary.glob("*/session_2*/runtime_resources")} == {
            "head",
            "worker-1",
        }  # each node unpacks packages for itself
        assert cluster.add("cpu") == "worker-2"
        nodes = cluster.processes("worker-1")
        assert len(nodes) > 2
        cluster.kill("worker-1")
        psutil.wait_procs(nodes, timeout=10)
        assert [process for process in nodes if is_alive(process)] == []
        assert cluster.sh("kill", "worker-1").stderr.startswith("There is no node worker-1 in ")


@pytest.mark.ray
@pytest.mark.slow
def test_a_recipe_runs_on_two_nodes_and_down_ends_just_those(ray_session, tmp_path):
    import ray

    with local_cluster(tmp_path / "state") as cluster:
        nodes = cluster.processes()
        again = cluster.sh("up")
        assert (again.returncode, again.stderr[:25]) == (2, "A cluster is up already (")

        write_corpus(tmp_path / "clips", 8, splits=("train", "val"))
        driver = cluster.dfray(
            "train",
            "tests/helpers/toy.yaml",
            f"work_dir={tmp_path}",
            f"corpora.0.root={tmp_path / 'clips'}",
            "training.epochs=1",
            "batches.batch_size=8",
        )
        output, _ = driver.communicate()
        assert driver.returncode == 0, output
    recipe = toy_recipe(tmp_path)
    assert (latest_run(tmp_path, recipe.name) / "model" / "bundle.json").exists()
    summaries = store_of(tmp_path).summaries()
    assert summaries["status"].to_pylist() == ["ok"] * 8

    assert len(nodes) > 10
    assert [process for process in nodes if is_alive(process)] == []
    assert ray.get(ray.remote(lambda: os.getpid()).remote()) != os.getpid(), (
        "the tests' own Ray goes on"
    )
