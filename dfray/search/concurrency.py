"""How many trials run beside each other: from what one of them needs, all of it, so that none waits for ever.

Trials read written faces: no data worker is among their needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dfray.config import Recipe
from dfray.errors import ResourceError

DRIVER_CPUS = 0.01
"""of the process that starts a trial's workers; Tune takes no trial for nothing"""


@dataclass(frozen=True)
class Capacity:
    """What one trial needs, and how many fit.

    Attributes:
        workers: processes that train one trial.
        alone: whether its one worker is the trial's own process.
        cpus: of each worker.
        gpus: of each worker, 0 or 1.
        concurrent: trials beside each other.
        arithmetic: how that number came about, in a sentence.
    """

    workers: int
    alone: bool
    cpus: int
    gpus: int
    concurrent: int
    arithmetic: str

    @property
    def trial_resources(self) -> dict[str, float]:
        """What Ray Tune sets aside for a trial; workers of its own take theirs themselves."""
        return {"CPU": self.cpus, "GPU": self.gpus} if self.alone else {"CPU": DRIVER_CPUS}


def capacity(recipe: Recipe, nodes: Sequence[Mapping[str, float]]) -> Capacity:
    """The trials of `recipe` that fit on `nodes` at once.

    Args:
        nodes: the resources of each node that may train, such as {"CPU": 8, "GPU": 1}.

    Raises:
        ResourceError: not even one trial fits.
    """
    section, training = recipe.search, recipe.training
    workers, cpus = section.trial_workers, training.cpus_per_worker
    has_gpus = any(node.get("GPU", 0) >= 1 for node in nodes)
    gpus = int(has_gpus if training.use_gpu is None else training.use_gpu)
    alone = trains_alone(recipe)
    each = cpus + (0 if alone else DRIVER_CPUS)  # as if all drivers lay beside the workers
    room = sum(_workers_on(node, each, gpus) for node in nodes)
    fit = room // workers
    need = f"{workers} train worker{'s' * (workers > 1)} x {cpus} CPU{'s' * (cpus > 1)}"
    need += " and 1 GPU" * gpus + " + 0 data workers: the faces are written"
    need += f" + {DRIVER_CPUS} CPU for its driver" * (not alone)
    there = " + ".join(_told(node) for node in nodes) or "no such node"
    sums = f"a trial needs {need}; the cluster has {there}: room for {fit}"
    if fit < 1:
        raise ResourceError(
            f"Not even one trial fits: {sums}. Ray would wait for ever.",
            "Add nodes, lower search.trial_workers or training.cpus_per_worker, or declare more "
            "logical CPUs on a local cluster (cluster.num_cpus).",
        )
    concurrent = min(fit, section.max_concurrent or fit, section.trials)
    told = f"{concurrent} beside each other: {sums}"
    return Capacity(workers, alone, cpus, gpus, concurrent, told)


def trains_alone(recipe: Recipe) -> bool:
    """Whether a trial's worker is its own process, which saves starting another: there is one worker, and
    it may be on any node (Ray Tune knows no labels)."""
    return recipe.search.trial_workers == 1 and not recipe.cluster.train_on


def _workers_on(node: Mapping[str, float], cpus: float, gpus: int) -> int:
    """Workers that fit on a node whole."""
    found = int((node.get("CPU", 0) + 1e-9) // cpus)
    return min(found, int(node.get("GPU", 0))) if gpus else found


def _told(node: Mapping[str, float]) -> str:
    gpus = node.get("GPU", 0)
    return f"{node.get('CPU', 0):g} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
