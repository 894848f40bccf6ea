"""How many workers a run can have at the moment: those that fit on the nodes there are.

Ray's own elastic policy reads reservations of up to 20 seconds ago, which know no labels. After a node was
lost it asks for as many workers as before, waits a minute for them, and where labels keep workers off
the nodes that are left, for ever.
"""

from __future__ import annotations

from typing import Any

from ray.train import Result
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.execution.scaling_policy import ElasticScalingPolicy

from dfray.session import nodes_of


class LivingNodes(ElasticScalingPolicy):
    """Counts the workers that fit on the living nodes that have the labels, whoever else is there."""

    def _get_reserved_resources(self) -> dict[str, dict[str, float]]:
        nodes = nodes_of(self.scaling_config.label_selector)
        return {node["NodeID"]: node["Resources"] for node in nodes}


class ElasticTrainer(TorchTrainer):
    """A TorchTrainer that sizes its worker group by `LivingNodes` if it may vary."""

    def _initialize_and_run_controller(self, **options: Any) -> Result:
        if self.scaling_config.elasticity_enabled:
            options["scaling_policy"] = LivingNodes(self.scaling_config)
        return super()._initialize_and_run_controller(**options)
