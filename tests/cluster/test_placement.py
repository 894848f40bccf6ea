"""Extraction on the CPU node, training on the other or across both: by the labels in the recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.cluster import LocalCluster
from tests.helpers.corpus import write_corpus
from tests.helpers.processes import title
from tests.helpers.runs import store_of

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    write_corpus(root, 24, seconds=12, splits=("train", "train", "val"))
    return root


def places(cluster: LocalCluster, clips: Path, folder: Path, *changes: str) -> dict[str, set[str]]:
    """Where a streamed run of one epoch had its processes: {"MapWorker": nodes, "RayTrainWorker": nodes}."""
    driver = cluster.dfray(
        "train",
        "tests/helpers/toy.yaml",
        f"work_dir={folder}",
        f"corpora.0.root={clips}",
        "training.epochs=1",
        "faces.rate_fps=2",
        *changes,
    )
    seen: dict[str, set[str]] = {"MapWorker": set(), "RayTrainWorker": set()}
    while driver.poll() is None:
        for node in cluster.nodes():
            titles = [title(process) for process in cluster.processes(node)]
            for kind, nodes in seen.items():
                if any(found.startswith(f"ray::{kind}") for found in titles):
                    nodes.add(node)
    output, _ = driver.communicate()
    assert driver.returncode == 0, output
    summaries = store_of(folder).summaries()
    assert summaries["status"].to_pylist() == ["ok"] * 24
    return seen


def test_extraction_on_the_cpu_node_and_training_on_the_other(two_nodes, clips, tmp_path):
    changes = ["cluster.extract_on={role: cpu}", "cluster.train_on={role: gpu}"]
    (gpu,) = set(two_nodes.nodes()) - {"head"}
    seen = places(two_nodes, clips, tmp_path, *changes)
    assert seen == {"MapWorker": {"head"}, "RayTrainWorker": {gpu}}


def test_without_labels_for_it_training_goes_across_both(two_nodes, clips, tmp_path):
    seen = places(two_nodes, clips, tmp_path, "cluster.extract_on={role: cpu}")
    assert seen == {"MapWorker": {"head"}, "RayTrainWorker": set(two_nodes.nodes())}


def test_labels_that_no_node_has_are_told_at_once(two_nodes, clips, tmp_path):
    driver = two_nodes.dfray(
        "extract",
        "tests/helpers/toy.yaml",
        f"work_dir={tmp_path}",
        f"corpora.0.root={clips}",
        "cluster.extract_on={role: tpu}",
    )
    output, _ = driver.communicate()
    assert driver.returncode == 2
    assert "(1 extraction on nodes with role=tpu); the cluster has 0 there." in output
