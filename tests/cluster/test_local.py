"""cluster/local.sh: two nodes on this machine, on which a recipe runs as it would on two machines."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from dfray.faces.shards import FacesStore
from tests.helpers.corpus import write_corpus
from tests.helpers.toy import toy_recipe

REPOSITORY = Path(__file__).parents[2]


def local_sh(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [REPOSITORY / "cluster" / "local.sh", *arguments],
        env=os.environ
        | {"DFRAY_CLUSTER_DIR": str(state), "RAY": str(Path(sys.executable).parent / "ray")},
        capture_output=True,
        text=True,
        check=False,
    )


def nodes_alive(state: Path) -> list[psutil.Process]:
    """The processes of the nodes whose leaders' ids lie in `state`."""
    groups = {int(file.read_text()) for file in state.glob("*.pid")}
    return [process for process in psutil.process_iter() if group_of(process) in groups]


def group_of(process: psutil.Process) -> int | None:
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else os.getpgid(process.pid)
    except (psutil.Error, ProcessLookupError):
        return None


def test_without_a_cluster_it_says_so(tmp_path):
    assert local_sh(tmp_path, "down").returncode == 0
    status = local_sh(tmp_path, "status")
    assert status.returncode == 2
    assert status.stderr.startswith("No cluster is up; start one with: ")
    usage = local_sh(tmp_path)
    assert usage.returncode == 2
    assert "local.sh up [NODES]" in usage.stdout


def test_what_a_crash_has_left_does_not_count_as_a_cluster(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / "head.pid").write_text(str(ended.pid))
    assert local_sh(tmp_path, "status").returncode == 2
    assert local_sh(tmp_path, "down").returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_is_said_and_nothing_is_started(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        up = local_sh(tmp_path, "up")
    assert up.returncode == 2
    assert up.stderr.startswith(f"Port {port} is in use; name another in PORT")
    assert nodes_alive(tmp_path) == []


@pytest.mark.ray
@pytest.mark.slow
def test_a_recipe_runs_on_two_nodes_and_down_ends_just_those(ray_session, tmp_path):
    import ray

    state = tmp_path / "state"
    up = local_sh(state, "up", "2")
    assert up.returncode == 0, up.stderr
    nodes = nodes_alive(state)
    try:
        again = local_sh(state, "up", "2")
        assert (again.returncode, again.stderr[:25]) == (2, "A cluster is up already (")

        write_corpus(tmp_path / "clips", 8, splits=("train", "val"))
        overrides = [
            f"work_dir={tmp_path}",
            f"corpora.0.root={tmp_path / 'clips'}",
            f"cluster.address={up.stdout.strip()}",
            "training.epochs=1",
            "batches.batch_size=8",
        ]
        done = subprocess.run(
            [sys.executable, "-m", "dfray.cli", "train", "tests/helpers/toy.yaml", *overrides],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    finally:
        assert local_sh(state, "down").returncode == 0
    recipe = toy_recipe(tmp_path)
    assert (tmp_path / recipe.name / "model" / "bundle.json").exists()
    summaries = FacesStore(str(tmp_path / recipe.name / "faces")).summaries()
    assert summaries["status"].to_pylist() == ["ok"] * 8

    assert len(nodes) > 10
    assert [process for process in nodes if group_of(process)] == []
    assert ray.get(ray.remote(os.getpid).remote()) != os.getpid(), "the tests' own Ray goes on"
