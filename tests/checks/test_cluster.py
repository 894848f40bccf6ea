"""Checks of CPUs and GPUs, without a Ray session."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray import session
from dfray.checks import Subject
from dfray.checks.suite import CHECKS
from dfray.resources import Node
from dfray.run_context import RunContext
from tests.helpers.toy import toy_recipe

NAMED = {check.name: check for check in CHECKS}
CPUS = Node({"CPU": 8})
ONE_GPU = Node({"CPU": 8, "GPU": 1})


@pytest.fixture(autouse=True)
def no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_is_connected", lambda: False)


def found(folder: Path, name: str, *overrides: str) -> list[str]:
    subject = Subject(RunContext.of(toy_recipe(folder, "toy", *overrides)))
    return [str(finding) for finding in NAMED[name].findings(subject)]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch):
    """here(node): the local machine is this node."""

    def be(node: Node) -> None:
        monkeypatch.setattr(session, "local_node", lambda _: node)

    return be


def test_a_gpu_that_is_not_there_is_named(tmp_path: Path, here) -> None:
    here(CPUS)
    (sentence,) = found(tmp_path, "room to train", "training.use_gpu=true")
    assert "The plan needs 2 GPUs at once (2 train workers); the cluster has 0." in sentence
    assert "Set training.use_gpu: false" in sentence


def test_a_gpu_that_nobody_asked_for_still_takes_one_a_worker(tmp_path: Path, here) -> None:
    here(ONE_GPU)
    (sentence,) = found(tmp_path, "room to train")
    assert "needs 2 GPUs at once (2 train workers); the cluster has 1." in sentence
    assert found(tmp_path, "room to train", "training.use_gpu=false") == []
    assert found(tmp_path, "room to train", "training.num_workers=1") == []


def test_fewer_workers_that_the_recipe_accepts_are_enough(tmp_path: Path, here) -> None:
    here(ONE_GPU)
    assert found(tmp_path, "room to train", "training.min_workers=1") == []


def test_a_streamed_first_epoch_needs_a_cpu_more(tmp_path: Path, here) -> None:
    here(Node({"CPU": 2}))
    assert found(tmp_path, "room to train") == []
    (sentence,) = found(tmp_path, "room to train", "batches.stream_first_epoch=true")
    assert "3 CPUs at once (2 train workers + 1 extraction); the cluster has 2." in sentence


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        (
            "room to extract",
            "cluster.extract_on={role: cpu}",
            "1 extraction on nodes with role=cpu",
        ),
        ("room for a trial", "search.trial_workers=16", "16 train workers"),
        ("room to score", "evaluation.num_workers=9", "9 scoring"),
    ],
)
def test_each_stage_has_its_own_needs(tmp_path: Path, here, name, override, message) -> None:
    here(CPUS)
    assert found(tmp_path, name) == []
    (sentence,) = found(tmp_path, name, override)
    assert message in sentence


def test_an_autoscaler_may_add_nodes_and_a_local_ray_gains_none(
    tmp_path: Path, here, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(CPUS)
    waits = ["training.use_gpu=true", "cluster.wait_s=60"]
    assert len(found(tmp_path, "room to train", *waits)) == 1
    monkeypatch.setattr(session.access, "gcs_nodes", lambda _: [CPUS])
    named = "cluster.address=host:6379"
    assert found(tmp_path, "room to train", *waits, named) == []
    assert len(found(tmp_path, "room to train", waits[0], named)) == 1


def test_a_dead_address_is_one_finding_and_not_one_for_each_need(tmp_path: Path) -> None:
    dead = "cluster.address=127.0.0.1:1"
    (sentence,) = found(tmp_path, "cluster", dead)
    assert "No Ray cluster answers at 127.0.0.1:1" in sentence
    assert found(tmp_path, "room to train", dead) == []


def test_the_local_node_has_the_gpus_that_are_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private.accelerators import NvidiaGPUAcceleratorManager

    monkeypatch.setattr(
        NvidiaGPUAcceleratorManager, "get_current_node_num_accelerators", staticmethod(lambda: 4)
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    cluster = toy_recipe("runs").cluster
    assert session.local_node(cluster).resources == {"CPU": 8, "GPU": 2}
