"""The part of ray.io/v1 (KubeRay 1.7.1) and of core/v1 (Kubernetes 1.35) that our manifests use.

Written after the field references of both. A key that is not here is refused, as the API server refuses an
unknown one under strict validation; of the maps in which it takes any, ours are here.
"""

from __future__ import annotations

from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


def _option_of_ray_start(name: str) -> str:
    from ray.scripts.scripts import start

    options = {option for parameter in start.params for option in parameter.opts}
    if f"--{name}" not in options:
        raise ValueError(f"`ray start` has no option --{name}")
    return name


Quantity = Annotated[str, Field(pattern=r"^\d+(\.\d+)?(m|k|[MGT]|[KMGT]i)?$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
Resource = Literal["cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"]
RayStartParams = dict[Annotated[str, AfterValidator(_option_of_ray_start)], str]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class SecretKeyRef(Strict):
    name: Name
    key: str


class ValueFrom(Strict):
    secret_key_ref: SecretKeyRef


class SecretRef(Strict):
    name: Name


class EnvFrom(Strict):
    secret_ref: SecretRef


class Resources(Strict):
    requests: dict[Resource, Quantity]
    limits: dict[Resource, Quantity]


class Port(Strict):
    container_port: Annotated[int, Field(gt=0, lt=65536)]
    name: Literal["gcs-server", "dashboard", "serve"]  # what the services look for


class Exec(Strict):
    command: list[str]


class Handler(Strict):
    exec: Exec


class Lifecycle(Strict):
    pre_stop: Handler


class Container(Strict):
    name: Name
    image: str
    env_from: list[EnvFrom]
    resources: Resources
    ports: list[Port] = []
    lifecycle: Lifecycle | None = None


class SecurityContext(Strict):
    run_as_non_root: bool
    run_as_user: int


class NodeSelector(Strict):
    capacity_type: Literal["spot", "on-demand"] = Field(alias="karpenter.sh/capacity-type")


class Toleration(Strict):
    key: Literal["spot", "nvidia.com/gpu"]
    operator: Literal["Exists", "Equal"]
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class PodSpec(Strict):
    containers: Annotated[list[Container], Field(min_length=1)]
    restart_policy: Literal["Always", "OnFailure", "Never"]
    security_context: SecurityContext
    node_selector: NodeSelector
    tolerations: list[Toleration] = []
    termination_grace_period_seconds: Annotated[int, Field(ge=0)] = 30


class PodTemplate(Strict):
    spec: PodSpec


class Labels(Strict):
    role: Literal["head", "cpu", "gpu"]


class Group(Strict):
    labels: Labels
    ray_start_params: RayStartParams
    template: PodTemplate


class HeadGroup(Group):
    service_type: Literal["ClusterIP", "NodePort", "LoadBalancer"]


class WorkerGroup(Group):
    group_name: Name
    replicas: Annotated[int, Field(ge=0)]
    min_replicas: Annotated[int, Field(ge=0)]
    max_replicas: Annotated[int, Field(ge=0)]


class AuthOptions(Strict):
    mode: Literal["disabled", "token"]
    secret_name: Name


class AutoscalerOptions(Strict):
    version: Literal["v1", "v2"]
    idle_timeout_seconds: Annotated[int, Field(ge=0)]
    upscaling_mode: Literal["Default", "Aggressive", "Conservative"]
    resources: Resources


class RedisCredential(Strict):
    value_from: ValueFrom


class GcsFaultTolerance(Strict):
    redis_address: str
    redis_password: RedisCredential
    external_storage_namespace: str


class RayClusterSpec(Strict):
    ray_version: str
    auth_options: AuthOptions
    enable_in_tree_autoscaling: bool
    autoscaler_options: AutoscalerOptions
    gcs_fault_tolerance_options: GcsFaultTolerance
    head_group_spec: HeadGroup
    worker_group_specs: list[WorkerGroup]


class ServingClusterSpec(Strict):
    ray_version: str
    auth_options: AuthOptions
    head_group_spec: HeadGroup
    worker_group_specs: list[WorkerGroup]


def _serve_config(text: str) -> str:
    from ray.serve.schema import ServeDeploySchema

    ServeDeploySchema.model_validate(yaml.safe_load(text))
    return text


class RayServiceSpec(Strict):
    serve_config_v2: Annotated[str, AfterValidator(_serve_config)] = Field(alias="serveConfigV2")
    ray_cluster_config: ServingClusterSpec


class Metadata(Strict):
    name: Name


class RayCluster(Strict):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayCluster"]
    metadata: Metadata
    spec: RayClusterSpec


class SubmitterConfig(Strict):
    backoff_limit: Annotated[int, Field(ge=0)]


class ClusterSelector(Strict):
    cluster: Name = Field(alias="ray.io/cluster")


class RayJobSpec(Strict):
    cluster_selector: ClusterSelector
    submission_mode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]
    submitter_config: SubmitterConfig
    active_deadline_seconds: Annotated[int, Field(gt=0)]
    entrypoint: str


class GeneratedMetadata(Strict):
    generate_name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*-$")]


class RayJob(Strict):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: GeneratedMetadata
    spec: RayJobSpec


class RayService(Strict):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayService"]
    metadata: Metadata
    spec: RayServiceSpec
