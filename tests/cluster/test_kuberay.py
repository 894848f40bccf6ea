"""cluster/kuberay: every field is one that KubeRay 1.7 knows, is explained, and agrees with the rest."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

import dfray
from dfray.recipe import load_recipe
from tests.helpers.kuberay import RayCluster, RayJob

FOLDER = Path(__file__).parents[2] / "cluster" / "kuberay"
FILES = ["raycluster.yaml", "rayjob.yaml"]


def document(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / name).read_text())


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


@pytest.fixture
def cluster() -> RayCluster:
    return RayCluster.model_validate(document("raycluster.yaml"))


@pytest.fixture
def job() -> RayJob:
    return RayJob.model_validate(document("rayjob.yaml"))


@pytest.mark.parametrize("name", FILES)
def test_every_field_is_explained_where_it_first_stands(name: str):
    told = set[str]()
    for line in (FOLDER / name).read_text().splitlines():
        code, found, _ = line.partition("#")
        if not found or not code.strip():
            continue
        told |= {
            word for word in code.replace("{", " ").replace(",", " ").split() if word[-1] == ":"
        }
    assert {f"{key}:" for key in keys(document(name))} <= told


def test_a_field_that_kuberay_does_not_know_is_refused():
    wrong = document("raycluster.yaml")
    wrong["spec"]["workerGroupSpecs"][0]["minReplica"] = 1
    with pytest.raises(ValidationError, match="minReplica"):
        RayCluster.model_validate(wrong)


def test_versions_are_those_of_the_project(cluster: RayCluster):
    groups = [cluster.spec.head_group_spec, *cluster.spec.worker_group_specs]
    images = {container.image for group in groups for container in group.template.spec.containers}
    assert images == {f"dfray:{dfray.__version__}"}
    assert cluster.spec.ray_version == version("ray")


def test_tokens_are_on_and_every_pod_runs_without_root(cluster: RayCluster):
    assert cluster.spec.auth_options.mode == "token"
    for group in [cluster.spec.head_group_spec, *cluster.spec.worker_group_specs]:
        assert group.template.spec.security_context.run_as_non_root
        assert group.template.spec.security_context.run_as_user == 1000, "the image's user"


def test_extraction_has_cpu_pods_and_training_gpu_pods(cluster: RayCluster):
    groups = {group.labels["role"]: group for group in cluster.spec.worker_group_specs}
    assert set(groups) == {"cpu", "gpu"}
    limits = {
        role: group.template.spec.containers[0].resources.limits for role, group in groups.items()
    }
    assert "nvidia.com/gpu" not in limits["cpu"]
    assert limits["gpu"]["nvidia.com/gpu"] == "1"
    for group in groups.values():
        assert group.min_replicas <= group.replicas <= group.max_replicas
        for container in group.template.spec.containers:
            assert container.resources.requests == container.resources.limits


def test_workers_may_be_reclaimed_and_the_head_may_not(cluster: RayCluster):
    head = cluster.spec.head_group_spec
    assert "spot" not in head.template.spec.node_selector.values()
    assert head.template.spec.tolerations == []
    assert head.ray_start_params["num-cpus"] == "0"
    assert cluster.spec.gcs_fault_tolerance_options.redis_address
    for group in cluster.spec.worker_group_specs:
        pod = group.template.spec
        assert "spot" in pod.node_selector.values()
        assert "spot" in [toleration.key for toleration in pod.tolerations]
        assert pod.termination_grace_period_seconds == 120
        assert pod.containers[0].lifecycle is not None


def test_the_job_selects_the_cluster_and_its_command_is_a_valid_one(
    cluster: RayCluster, job: RayJob
):
    assert job.spec.cluster_selector == {"ray.io/cluster": cluster.metadata.name}
    program, command, recipe, *overrides = shlex.split(job.spec.entrypoint)
    assert (program, command) == ("dfray", "run")
    assert load_recipe(recipe, overrides).cluster.address == "auto"
