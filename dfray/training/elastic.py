"""How many workers a run can have at the moment: those that fit on the nodes there are.

Ray's own policies do not do. The fixed one asks for the same workers minute after minute, and says nothing.
The elastic one reads reservations of up to 20 seconds ago, which know no labels: after a node was lost it
asks for as many workers as before, and where labels keep them off the nodes that are left, for ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import ray
from packaging.version import Version
from ray import ActorID, PlacementGroupID
from ray._private.state import available_resources_per_node, state
from ray.core.generated.gcs_pb2 import PlacementGroupTableData
from ray.train import Result, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.execution.scaling_policy import (
    ElasticScalingPolicy,
    NoopDecision,
    ScalingDecision,
)
from ray.util.placement_group import PlacementGroup, remove_placement_group

from dfray.session import cpus_of, nodes_of

if TYPE_CHECKING:
    from ray.actor import ActorHandle

_ASK_AGAIN_S = 1.0
_BY_NODE = Version(ray.__version__) >= Version("2.60")
"""Ray's own policy takes reserved resources by node; before 2.60 as a list without the nodes."""


class LivingNodes(ElasticScalingPolicy):
    """Counts the workers that fit on the living nodes with the labels of the `scaling_config`.

    Args:
        scaling_config: its `num_workers` is (fewest, most).
        progress: a counting actor, told while too few fit.
        extract_on: labels of the nodes where an extraction, which feeds the run, needs a CPU besides;
            none: nothing runs beside the workers.
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
        decision = super().make_decision_for_non_running_worker_group()
        if isinstance(decision, NoopDecision):
            fewest = self.scaling_config.min_workers
            told = f"waiting for nodes: {fewest} workers do not fit on those there are"
            self.progress.note.remote({"waiting": told})
            time.sleep(_ASK_AGAIN_S)  # Ray's controller would ask again at once
        return decision

    def _get_reserved_resources(self) -> dict[str, dict[str, float]]:
        nodes = nodes_of(self.scaling_config.label_selector)
        return {node["NodeID"]: node["Resources"] for node in nodes}

    def _count_possible_workers(self, reserved_resources: dict[str, dict[str, float]]) -> int:
        reserved = reserved_resources if _BY_NODE else list(reserved_resources.values())
        fitting: int = super()._count_possible_workers(reserved)
        if self.extract_on is None:
            return fitting
        left = cpus_of(self.scaling_config.label_selector, self.extract_on) - 1
        return min(fitting, int(left // self.scaling_config.resources_per_worker["CPU"]))


class FreeCPUs(LivingNodes):
    """Counts the workers that fit on what is free: for runs that take turns on a cluster.

    Where a node was lost not all of a search's trials have room, and one that asked for more than there is
    would be in line with its placement group; see `remove_left_behind`.
    """

    def _get_reserved_resources(self) -> dict[str, dict[str, float]]:
        remove_left_behind()
        nodes = [node["NodeID"] for node in nodes_of(self.scaling_config.label_selector)]
        free = available_resources_per_node()
        room = {node: dict(free.get(node, {})) for node in nodes}
        # The workers that are started again give back theirs only when it has been decided how many.
        me = ray.get_runtime_context().get_actor_id()
        own = [group for group in _groups() if group.creator_actor_id.hex() == me]
        for bundle in (bundle for group in own for bundle in group.bundles):
            here = room.get(bundle.node_id.hex(), {})
            for resource, amount in bundle.unit_resources.items():
                here[resource] = here.get(resource, 0) + amount
        return room


def remove_left_behind() -> None:
    """Remove this job's placement groups whose actors are dead.

    Ray does once the job has ended, too. Ray Train has an actor for it, which only knows of groups whose
    workers all run: one that its controller died before is in nobody's hands, and takes its CPUs for ever.
    """
    for group in _groups():
        if group.creator_actor_dead:
            remove_placement_group(PlacementGroup(PlacementGroupID(group.placement_group_id)))


def _groups() -> Iterator[PlacementGroupTableData]:
    """The placement groups that actors of this job have made."""
    job = ray.get_runtime_context().get_job_id()
    for found in state._connect_and_get_accessor().get_placement_group_table():
        group = PlacementGroupTableData.FromString(found)
        by_actor = not ActorID(group.creator_actor_id).is_nil()
        if by_actor and group.creator_job_id.hex() == job and group.state != group.REMOVED:
            yield group


class ElasticTrainer(TorchTrainer):
    """A TorchTrainer that sizes its worker group by `policy`."""

    def __init__(self, *args: Any, policy: LivingNodes, **options: Any) -> None:
        super().__init__(*args, scaling_config=policy.scaling_config, **options)
        self.policy = policy

    def _initialize_and_run_controller(self, **options: Any) -> Result:
        return super()._initialize_and_run_controller(**options | {"scaling_policy": self.policy})
