"""CPUs and GPUs that a training needs at once."""

from __future__ import annotations

from collections.abc import Sequence

from dfray.config import Recipe
from dfray.resources import Need, Node, total


def trains_on_gpus(recipe: Recipe, nodes: Sequence[Node]) -> bool:
    """Return True if the recipe asks for GPUs, or leaves it open and the cluster has any."""
    use_gpu = recipe.training.use_gpu
    return total(nodes, "GPU") > 0 if use_gpu is None else use_gpu


def training_needs(
    recipe: Recipe, nodes: Sequence[Node], *, workers: int, streaming: bool = False
) -> list[Need]:
    """Return the needs of `workers` training workers on a cluster of these nodes.

    Args:
        streaming: an extraction feeds the first epoch and needs an actor at least.
    """
    section, cluster = recipe.training, recipe.cluster
    gpus = int(trains_on_gpus(recipe, nodes))
    train = Need("train workers", workers, section.cpus_per_worker, gpus, cluster.train_on)
    extraction = Need("extraction", 1, labels=cluster.extract_on)  # its plan reads nothing else
    return [train, extraction] if streaming else [train]
