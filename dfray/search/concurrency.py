"""Number of concurrent trials, from all the resources that one trial needs.

Counting all of them keeps a trial from waiting for ever. Trials read written faces and need no data worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dfray.config import Recipe
from dfray.errors import ResourceError

DRIVER_CPUS = 0.01
"""CPUs of the process that starts a trial's workers; Tune refuses a trial without resources."""


@dataclass(frozen=True)
class TrialCapacity:
    """Resources of one trial, and the number of trials that run at once.

    Attributes:
        workers: processes that train one trial.
        in_process: its one worker is the trial's own process.
        cpus: of each worker.
        gpus: of each worker, 0 or 1.
        concurrent: trials that run at once.
        arithmetic: derivation of that number, in a sentence.
    """

    workers: int
    in_process: bool
    cpus: int
    gpus: int
    concurrent: int
    arithmetic: str

    @property
    def trial_resources(self) -> dict[str, float]:
        """Resources that Ray Tune reserves for a trial; a Ray Train run reserves its workers' itself."""
        return {"CPU": self.cpus, "GPU": self.gpus} if self.in_process else {"CPU": DRIVER_CPUS}


def trial_capacity(recipe: Recipe, nodes: Sequence[Mapping[str, float]]) -> TrialCapacity:
    """Return the number of trials of `recipe` that fit on `nodes` at once.

    Args:
        nodes: the resources of each node that may train, such as {"CPU": 8, "GPU": 1}.

    Raises:
        ResourceError: not even one trial fits.
    """
    section, training = recipe.search, recipe.training
    workers, cpus = section.trial_workers, training.cpus_per_worker
    has_gpus = any(node.get("GPU", 0) >= 1 for node in nodes)
    gpus = int(has_gpus if training.use_gpu is None else training.use_gpu)
    in_process = trains_in_process(recipe)
    driver_cpus = 0 if in_process else DRIVER_CPUS
    # As if each worker had a driver on its node: no node is then overbooked.
    slots = sum(_workers_on(node, cpus + driver_cpus, gpus) for node in nodes)
    room = slots // workers
    need = f"{workers} train worker{'s' * (workers > 1)} x {cpus} CPU{'s' * (cpus > 1)}"
    need += " and 1 GPU" * gpus + " + 0 data workers: the faces are written"
    need += f" + {DRIVER_CPUS} CPU for its driver" * (not in_process)
    cluster = " + ".join(_node_text(node) for node in nodes) or "no such node"
    sums = f"a trial needs {need}; the cluster has {cluster}: room for {room}"
    if room < 1:
        raise ResourceError(
            f"Not even one trial fits: {sums}. Ray would wait for ever.",
            "Add nodes, lower search.trial_workers or training.cpus_per_worker, or declare more "
            "logical CPUs on a local cluster (cluster.num_cpus).",
        )
    concurrent = min(room, section.max_concurrent or room, section.trials)
    arithmetic = f"{concurrent} at once: {sums}"
    return TrialCapacity(workers, in_process, cpus, gpus, concurrent, arithmetic)


def trains_in_process(recipe: Recipe) -> bool:
    """Return True if a trial's worker is the trial's own process, which saves starting another.

    That needs one worker that may run on any node: Ray Tune places trials without regard to labels.
    """
    return recipe.search.trial_workers == 1 and not recipe.cluster.train_on


def _workers_on(node: Mapping[str, float], cpus: float, gpus: int) -> int:
    """Return the number of workers that fit on one node."""
    workers = int((node.get("CPU", 0) + 1e-9) // cpus)
    return min(workers, int(node.get("GPU", 0))) if gpus else workers


def _node_text(node: Mapping[str, float]) -> str:
    gpus = node.get("GPU", 0)
    return f"{node.get('CPU', 0):g} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
