"""cluster/kuberay: every field is one that KubeRay 1.7 knows, is explained, and agrees with the rest."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

import dfray
from dfray.recipe import load_recipe
from dfray.service.detector import APPLICATION
from dfray.service.settings import ServiceSettings
from tests.helpers.fields import misspelt, unexplained
from tests.helpers.kuberay import RayCluster, RayJob, RayService

FOLDER = Path(__file__).parents[2] / "cluster" / "kuberay"
FILES = {
    "raycluster.yaml": RayCluster,
    "rayjob.yaml": RayJob,
    "rayservice.yaml": RayService,
}


def document(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / name).read_text())


@pytest.fixture
def cluster() -> RayCluster:
    return RayCluster.model_validate(document("raycluster.yaml"))


@pytest.fixture
def job() -> RayJob:
    return RayJob.model_validate(document("rayjob.yaml"))


@pytest.mark.parametrize("name", FILES)
def test_every_field_is_explained_where_it_first_stands(name: str):
    assert unexplained(FOLDER / name) == set()


@pytest.mark.parametrize(("name", "kind"), FILES.items())
def test_no_key_can_be_misspelt_unseen(name: str, kind: type[BaseModel]):
    def is_taken(manifest: dict[str, Any]) -> bool:
        try:
            kind.model_validate(manifest)
        except ValidationError:
            return False
        return True

    assert is_taken(document(name))
    assert [where for where, wrong in misspelt(document(name)) if is_taken(wrong)] == []


def test_versions_are_those_of_the_project(cluster: RayCluster):
    groups = [cluster.spec.head_group_spec, *cluster.spec.worker_group_specs]
    images = {container.image for group in groups for container in group.template.spec.containers}
    assert images == {f"dfray:{dfray.__version__}"}
    assert cluster.spec.ray_version == version("ray")


def test_secrets_are_those_that_the_commands_at_the_top_make(cluster: RayCluster):
    commands = re.findall(
        r"kubectl create secret generic (\S+)", (FOLDER / "raycluster.yaml").read_text()
    )
    groups = [cluster.spec.head_group_spec, *cluster.spec.worker_group_specs]
    named = {group.template.spec.containers[0].env_from[0].secret_ref.name for group in groups}
    password = cluster.spec.gcs_fault_tolerance_options.redis_password.value_from.secret_key_ref
    assert commands == [password.name, cluster.spec.auth_options.secret_name]
    assert named == {password.name}
    assert f"\n{password.key}=" in (FOLDER.parents[1] / "infra" / "env.example").read_text()


def test_tokens_are_on_and_every_pod_runs_without_root(cluster: RayCluster):
    assert cluster.spec.auth_options.mode == "token"
    for group in [cluster.spec.head_group_spec, *cluster.spec.worker_group_specs]:
        assert group.template.spec.security_context.run_as_non_root
        assert group.template.spec.security_context.run_as_user == 1000, "the image's user"


def test_extraction_has_cpu_pods_and_training_gpu_pods(cluster: RayCluster):
    groups = {group.labels.role: group for group in cluster.spec.worker_group_specs}
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
    assert head.template.spec.node_selector.capacity_type == "on-demand"
    assert head.template.spec.tolerations == []
    assert head.ray_start_params["num-cpus"] == "0"
    assert cluster.spec.gcs_fault_tolerance_options.redis_address
    for group in cluster.spec.worker_group_specs:
        pod = group.template.spec
        assert pod.node_selector.capacity_type == "spot"
        assert "spot" in [toleration.key for toleration in pod.tolerations]
        assert pod.termination_grace_period_seconds == 120
        assert pod.containers[0].lifecycle is not None


def test_the_job_selects_the_cluster_and_its_command_is_a_valid_one(
    cluster: RayCluster, job: RayJob
):
    assert job.spec.cluster_selector.cluster == cluster.metadata.name
    program, command, recipe, *overrides = shlex.split(job.spec.entrypoint)
    assert (program, command) == ("dfray", "run")
    assert load_recipe(recipe, overrides).cluster.address == "auto"


@pytest.fixture
def service() -> RayService:
    return RayService.model_validate(document("rayservice.yaml"))


def test_the_service_is_of_the_same_versions_and_secrets_as_the_cluster(
    cluster: RayCluster, service: RayService
):
    serving = service.spec.ray_cluster_config
    assert serving.ray_version == cluster.spec.ray_version
    assert serving.auth_options == cluster.spec.auth_options
    for group in [serving.head_group_spec, *serving.worker_group_specs]:
        pod = group.template.spec
        (container,) = pod.containers
        assert container.image == cluster.spec.head_group_spec.template.spec.containers[0].image
        assert container.env_from[0].secret_ref.name == "dfray"
        assert container.resources.requests == container.resources.limits
        assert pod.security_context.run_as_non_root
        assert pod.node_selector.capacity_type == "on-demand", "clients wait for an answer"


def test_the_service_runs_dfray_s_application_behind_its_token(service: RayService):
    config = yaml.safe_load(service.spec.serve_config_v2)
    (application,) = config["applications"]
    module, _, name = application["import_path"].partition(":")
    assert callable(getattr(import_module(module), name))
    assert application["name"] == APPLICATION
    assert "\nDFRAY_SERVE_TOKEN=" in (FOLDER.parents[1] / "infra" / "env.example").read_text()
    ports = service.spec.ray_cluster_config.head_group_spec.template.spec.containers[0].ports
    assert {port.name: port.container_port for port in ports}["serve"] == config["http_options"][
        "port"
    ]
    assert config["http_options"]["request_timeout_s"] > ServiceSettings().timeout_s
