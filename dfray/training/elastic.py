"""Number of workers of a run, sized to the living nodes.

Ray's policies do not suffice. The fixed one requests the same workers again and again, without a message.
The elastic one reads reservations that are up to 20 seconds old and have no labels: after the loss of a
node it requests as many workers as before, and never stops if labels exclude the nodes that are left.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import ray
from ray import ActorID, PlacementGroupID
from ray._private.state import available_resources_per_node, state
from ray.core.generated.gcs_pb2 import PlacementGroupTableData
from ray.train import Result, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.callback import RayTrainCallback
from ray.train.v2._internal.execution.failure_handling import FailureDecision
from ray.train.v2._internal.execution.failure_handling.default import DefaultFailurePolicy
from ray.train.v2._internal.execution.scaling_policy import (
    ElasticScalingPolicy,
    NoopDecision,
    ScalingDecision,
)
from ray.train.v2.api.exceptions import TrainingFailedError
from ray.util.placement_group import PlacementGroup, remove_placement_group

from dfray.errors import DamagedShardError, NoSpaceError, UserError, root_error
from dfray.session import cpus_of, nodes_of
from dfray.training.context import TrainingStatus

if TYPE_CHECKING:
    from ray.actor import ActorHandle

_RETRY_S = 1.0


class LivingNodes(ElasticScalingPolicy):
    """Scaling policy: the workers that fit on the living nodes with the labels of `scaling_config`.

    Args:
        scaling_config: its `num_workers` is (minimum, maximum).
        progress: actor for TrainingStatus, while too few workers fit.
        extract_on: labels of the nodes where the extraction that feeds the run needs one more CPU;
            None: no extraction runs.
    """

    def __init__(
        self,
        scaling_config: ScalingConfig,
        progress: ActorHandle,
        extract_on: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(scaling_config)
        self.progress, self.extract_on = progress, extract_on

    def make_decision_for_non_running_worker_group(self) -> ScalingDecision:
        remove_orphaned_groups()
        decision = super().make_decision_for_non_running_worker_group()
        if isinstance(decision, NoopDecision):
            config = self.scaling_config
            each = " and ".join(
                f"{amount:g} {name}" for name, amount in config.resources_per_worker.items()
            )
            reason = (
                f"waiting for nodes: {config.min_workers} workers of {each} each do not fit on the "
                "living nodes"
            )
            status: TrainingStatus = {"waiting": reason}
            self.progress.note.remote(status)
            time.sleep(_RETRY_S)  # Ray's controller would retry at once
        return decision

    def _get_reserved_resources(self) -> dict[str, dict[str, float]]:
        nodes = nodes_of(self.scaling_config.label_selector)
        return {node["NodeID"]: node["Resources"] for node in nodes}

    def _count_possible_workers(self, reserved_resources: dict[str, dict[str, float]]) -> int:
        fitting: int = super()._count_possible_workers(reserved_resources)
        if self.extract_on is None:
            return fitting
        free_cpus = cpus_of(self.scaling_config.label_selector, self.extract_on) - 1
        return min(fitting, int(free_cpus // self.scaling_config.resources_per_worker["CPU"]))


class FreeCPUs(LivingNodes):
    """Scaling policy: the workers that fit on the free CPUs, for runs that share a cluster.

    After the loss of a node not all trials of a search fit, and a trial that requested more than is free
    would wait with a pending placement group; see `remove_orphaned_groups`.
    """

    def _get_reserved_resources(self) -> dict[str, dict[str, float]]:
        nodes = [node["NodeID"] for node in nodes_of(self.scaling_config.label_selector)]
        free = available_resources_per_node()
        room = {node: dict(free.get(node, {})) for node in nodes}
        # A restarted group frees its bundles only after this decision, so they count as free.
        actor_id = ray.get_runtime_context().get_actor_id()
        groups = [group for group in _groups() if group.creator_actor_id.hex() == actor_id]
        for bundle in (bundle for group in groups for bundle in group.bundles):
            node = room.get(bundle.node_id.hex(), {})
            for resource, amount in bundle.unit_resources.items():
                node[resource] = node.get(resource, 0) + amount
        return room


def remove_orphaned_groups() -> None:
    """Remove this job's placement groups whose actors are dead.

    Ray removes them at the end of the job. Ray Train has an actor for it, which tracks only groups whose
    workers all run: a group whose controller died before that is tracked by none, and blocks its CPUs. So
    ElasticTrainer leaves that actor out.
    """
    for group in _groups():
        if group.creator_actor_dead:
            remove_placement_group(PlacementGroup(PlacementGroupID(group.placement_group_id)))


def _groups() -> Iterator[PlacementGroupTableData]:
    """Yield the placement groups that actors of this job have made."""
    job = ray.get_runtime_context().get_job_id()
    for serialized in state._connect_and_get_accessor().get_placement_group_table():
        group = PlacementGroupTableData.FromString(serialized)
        by_actor = not ActorID(group.creator_actor_id).is_nil()
        if by_actor and group.creator_job_id.hex() == job and group.state != group.REMOVED:
            yield group


class FinalFailures(DefaultFailurePolicy):
    """Failure policy of Ray Train, without restarts after errors that they only repeat."""

    def make_decision(self, training_failed_error: TrainingFailedError) -> FailureDecision:
        failures = getattr(training_failed_error, "worker_failures", {}).values()
        final = NoSpaceError | DamagedShardError | UserError
        if any(isinstance(root_error(failure), final) for failure in failures):
            return FailureDecision.RAISE
        return super().make_decision(training_failed_error)


class ElasticTrainer(TorchTrainer):
    """A TorchTrainer that sizes its worker group by `policy`."""

    def __init__(self, *args: Any, policy: LivingNodes, **options: Any) -> None:
        super().__init__(*args, scaling_config=policy.scaling_config, **options)
        self.policy = policy

    def _create_default_callbacks(self) -> list[RayTrainCallback]:
        """Return Ray's callbacks, without those that start a process which this run has no use for.

        Each process imports Ray Train: three CPU seconds at every start, and 150 MB.
        """
        unused: list[type[RayTrainCallback]] = [PlacementGroupCleanerCallback]
        if not self.datasets:
            unused.append(DatasetsCallback)
        callbacks = super()._create_default_callbacks()
        return [callback for callback in callbacks if not isinstance(callback, tuple(unused))]

    def _initialize_and_run_controller(self, **options: Any) -> Result:
        policies = {
            "scaling_policy": self.policy,
            "failure_policy": FinalFailures(self.run_config.failure_config),
        }
        return super()._initialize_and_run_controller(**options | policies)
