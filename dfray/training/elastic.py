"""How many workers a run can have at the moment: those that fit on the nodes there are.

Ray's own elastic policy reads reservations of up to 20 seconds ago, which know no labels. After a node was
lost it asks for as many workers as before, waits a minute for them, and where labels keep workers off
the nodes that are left, for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.train import Result, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.execution.scaling_policy import ElasticScalingPolicy

from dfray.session import cpus_of, nodes_of


class LivingNodes(ElasticScalingPolicy):
    """Counts the workers that fit on the living nodes with the labels of the `scaling_config`.

    Args:
        extract_on: labels of the nodes where an extraction, which feeds the run, needs a CPU besides;
            none: nothing runs beside the workers.
    """

    def __init__(
        self, scaling_config: ScalingConfig, extract_on: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(scaling_config)
        self.extract_on = extract_on

    def _get_reserved_resources(self) -> dict[str, dict[str, float]]:
        nodes = nodes_of(self.scaling_config.label_selector)
        return {node["NodeID"]: node["Resources"] for node in nodes}

    def _count_possible_workers(self, reserved_resources: dict[str, dict[str, float]]) -> int:
        fitting = super()._count_possible_workers(reserved_resources)
        if self.extract_on is None:
            return fitting
        left = cpus_of(self.scaling_config.label_selector, self.extract_on) - 1
        return min(fitting, int(left // self.scaling_config.resources_per_worker["CPU"]))


class ElasticTrainer(TorchTrainer):
    """A TorchTrainer that sizes its worker group by `LivingNodes`, if its size may vary.

    Args:
        extract_on: of `LivingNodes`.
    """

    def __init__(
        self, *args: Any, extract_on: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.extract_on = extract_on

    def _initialize_and_run_controller(self, **options: Any) -> Result:
        if self.scaling_config.elasticity_enabled:
            options["scaling_policy"] = LivingNodes(self.scaling_config, self.extract_on)
        return super()._initialize_and_run_controller(**options)
