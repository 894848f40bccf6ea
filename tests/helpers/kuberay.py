"""The part of ray.io/v1 (KubeRay 1.7.1) and of core/v1 (Kubernetes 1.35) that our manifests use.

Written from the field references of both, which are linked nowhere as they move; a key that is not here is
refused, as the API server refuses it under strict validation.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Quantity = Annotated[str, Field(pattern=r"^\d+(\.\d+)?(m|[KMGT]i?)?$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
LabelKey = Annotated[str, Field(pattern=r"^([a-z0-9.-]+/)?[A-Za-z0-9][\w.-]*$")]
LabelValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")]
Labels = dict[LabelKey, LabelValue]
Resource = Literal["cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SecretKeyRef(Strict):
    name: Name
    key: str


class ValueFrom(Strict):
    secretKeyRef: SecretKeyRef


class SecretRef(Strict):
    name: Name


class EnvFrom(Strict):
    secretRef: SecretRef


class Resources(Strict):
    requests: dict[Resource, Quantity]
    limits: dict[Resource, Quantity]


class Port(Strict):
    containerPort: Annotated[int, Field(gt=0, lt=65536)]
    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,15}$")]


class Exec(Strict):
    command: list[str]


class Handler(Strict):
    exec: Exec


class Lifecycle(Strict):
    preStop: Handler


class Container(Strict):
    name: Name
    image: str
    envFrom: list[EnvFrom]
    resources: Resources
    ports: list[Port] = []
    lifecycle: Lifecycle | None = None


class SecurityContext(Strict):
    runAsNonRoot: bool
    runAsUser: int


class Toleration(Strict):
    key: LabelKey
    operator: Literal["Exists", "Equal"]
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class PodSpec(Strict):
    containers: Annotated[list[Container], Field(min_length=1)]
    restartPolicy: Literal["Always", "OnFailure", "Never"]
    securityContext: SecurityContext
    nodeSelector: Labels = {}
    tolerations: list[Toleration] = []
    terminationGracePeriodSeconds: Annotated[int, Field(ge=0)] = 30


class PodTemplate(Strict):
    spec: PodSpec


class Group(Strict):
    labels: Labels
    rayStartParams: dict[str, str]
    template: PodTemplate


class HeadGroup(Group):
    serviceType: Literal["ClusterIP", "NodePort", "LoadBalancer"]


class WorkerGroup(Group):
    groupName: Name
    replicas: Annotated[int, Field(ge=0)]
    minReplicas: Annotated[int, Field(ge=0)]
    maxReplicas: Annotated[int, Field(ge=0)]


class AuthOptions(Strict):
    mode: Literal["disabled", "token"]
    secretName: Name


class AutoscalerOptions(Strict):
    version: Literal["v1", "v2"]
    idleTimeoutSeconds: Annotated[int, Field(ge=0)]
    upscalingMode: Literal["Default", "Aggressive", "Conservative"]
    resources: Resources


class RedisCredential(Strict):
    valueFrom: ValueFrom


class GcsFaultTolerance(Strict):
    redisAddress: str
    redisPassword: RedisCredential
    externalStorageNamespace: str


class RayClusterSpec(Strict):
    rayVersion: str
    authOptions: AuthOptions
    enableInTreeAutoscaling: bool
    autoscalerOptions: AutoscalerOptions
    gcsFaultToleranceOptions: GcsFaultTolerance
    headGroupSpec: HeadGroup
    workerGroupSpecs: list[WorkerGroup]


class Metadata(Strict):
    name: Name


class RayCluster(Strict):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayCluster"]
    metadata: Metadata
    spec: RayClusterSpec


class SubmitterConfig(Strict):
    backoffLimit: Annotated[int, Field(ge=0)]


class RayJobSpec(Strict):
    clusterSelector: Labels
    submissionMode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]
    submitterConfig: SubmitterConfig
    activeDeadlineSeconds: Annotated[int, Field(gt=0)]
    entrypoint: str


class GeneratedMetadata(Strict):
    generateName: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*-$")]


class RayJob(Strict):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: GeneratedMetadata
    spec: RayJobSpec
