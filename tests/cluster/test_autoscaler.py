"""A cluster that begins with a head alone, as cluster/aws.yaml and cluster/kuberay may: nodes come as asked.

The autoscaler is Ray's own; its machines are raylets beside the head instead of a cloud's.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.helpers.cluster import REPOSITORY
from tests.helpers.corpus import write_corpus
from tests.helpers.processes import wait_for
from tests.helpers.runs import store_of

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]
HEAD = "f" * 51 + "00000"
"""The head's id, as the provider expects it."""


def machine(role: str, most: int) -> dict:
    return {
        "resources": {"CPU": 4},
        "labels": {"role": role},
        "node_config": {},
        "min_workers": 0,
        "max_workers": most,
    }


def configuration(address: str) -> dict:
    """As cluster/aws.yaml: none of either kind at the start, and no work on the head."""
    head = machine("head", 0) | {"resources": {"CPU": 0}}
    return {
        "cluster_name": "fake",
        "max_workers": 3,
        "idle_timeout_minutes": 10,
        "provider": {
            "type": "external",  # as Ray's wheel lacks the defaults of `fake_multinode`
            "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
            "launch_multiple": True,
            "head_node_id": HEAD,
            "gcs_address": address,
        },
        "available_node_types": {
            "ray.head.default": head,
            "cpu": machine("cpu", 2),
            "gpu": machine("gpu", 1),
        },
        "head_node_type": "ray.head.default",
        **{f"{where}setup_commands": [] for where in ("", "head_", "worker_")},
        **{f"{where}_start_ray_commands": [] for where in ("head", "worker")},
        **{name: {} for name in ("auth", "docker", "file_mounts")},
        **{name: [] for name in ("initialization_commands", "cluster_synced_files")},
        "upscaling_speed": 1.0,
    }


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Of a driver of such a cluster."""
    with socket.create_server(("127.0.0.1", 0)) as a, socket.create_server(("127.0.0.1", 0)) as b:
        port, client_port = a.getsockname()[1], b.getsockname()[1]
    address = f"127.0.0.1:{port}"
    temporary = tempfile.mkdtemp(prefix="dfray-ray-", dir="/tmp")  # sockets' paths must be short
    (tmp_path / "autoscaling.json").write_text(json.dumps(configuration(address)))
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    of_head = {
        "RAY_FAKE_CLUSTER": "1",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": HEAD,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD,
        "OMP_NUM_THREADS": "1",
    }
    head = subprocess.Popen(
        [
            Path(sys.executable).parent / "ray",
            *("start", "--head", "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1"),
            *(f"--port={port}", "--num-cpus=0", "--include-dashboard=false"),
            *(
                f"--ray-client-server-port={client_port}",
                "--min-worker-port=0",
                "--max-worker-port=0",
            ),
            *(f"--autoscaling-config={tmp_path / 'autoscaling.json'}", f"--temp-dir={temporary}"),
            "--labels=role=head",
        ],
        env=os.environ | of_head | token,
        start_new_session=True,
        stdout=(tmp_path / "head.log").open("w"),
        stderr=subprocess.STDOUT,
    )
    try:
        wait_for(lambda: "Ray runtime started" in (tmp_path / "head.log").read_text())
        yield os.environ | token | {"RAY_ADDRESS": address, "PYTHONPATH": str(REPOSITORY)}
    finally:
        for process in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError):
                if os.getsid(process.pid) == head.pid:
                    process.kill()
        head.wait()
        shutil.rmtree(temporary)


def test_a_stage_waits_for_the_nodes_that_it_needs_and_those_of_no_kind_are_refused(
    environment: dict[str, str], tmp_path: Path
):
    def extract(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dfray.cli", "extract", "tests/helpers/toy.yaml", *words],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    write_corpus(tmp_path / "clips", 4)
    words = (f"work_dir={tmp_path}", f"corpora.0.root={tmp_path / 'clips'}")
    refused = extract(*words, "cluster.extract_on={role: cpu}")
    assert refused.returncode == 2
    assert "(1 extraction on nodes with role=cpu); the cluster has 0 there." in refused.stderr
    assert "cluster.wait_s" in refused.stderr

    waited = extract(*words, "cluster.extract_on={role: cpu}", "cluster.wait_s=120")
    assert waited.returncode == 0, waited.stderr
    assert "Waiting up to 120 s for nodes." in waited.stderr
    summaries = store_of(tmp_path).summaries()
    assert summaries["status"].to_pylist() == ["ok"] * 4

    labels = ("cluster.extract_on={role: tpu}", "cluster.wait_s=5")
    none_such = extract(*words, "faces.size_px=40", *labels)  # other faces, so that some are due
    assert none_such.returncode == 2
    assert "the cluster has 0 there. Ray would wait for ever." in none_such.stderr
