"""Resources that processes need at once, and the nodes that have them: plain sums, without a connection.

Ray waits without a message when a plan needs more than the cluster has, so the plan is added up first.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Node:
    """One node of a cluster.

    Attributes:
        resources: as Ray counts them, such as {"CPU": 8, "GPU": 1}.
        labels: of the node, such as {"role": "gpu"}.
    """

    resources: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Need:
    """Processes of one kind that run at once.

    Attributes:
        name: of the kind, in the plural: train workers.
        count: number of processes.
        cpus, gpus: of each process.
        labels: of the nodes that the processes must run on, as in `cluster.train_on`; empty: any node.
    """

    name: str
    count: int
    cpus: float = 1
    gpus: float = 0
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def each(self) -> dict[str, float]:
        """Resources of one process."""
        return {"CPU": self.cpus} | ({"GPU": self.gpus} if self.gpus else {})

    def total(self, resource: str) -> float:
        """Return the amount of a resource that all processes need together."""
        return self.count * self.each.get(resource, 0)


def select_nodes(nodes: Sequence[Node], labels: Mapping[str, str]) -> list[Node]:
    """Return the nodes that have the labels, in Ray's notation: a value, !value, in(a, b) or !in(a, b)."""
    if not labels:
        return list(nodes)
    from ray._raylet import node_labels_match_selector  # type: ignore[attr-defined]

    return [n for n in nodes if node_labels_match_selector(dict(n.labels), dict(labels))]


def total(nodes: Sequence[Node], resource: str) -> float:
    """Return the amount of a resource that the nodes have together."""
    return float(sum(node.resources.get(resource, 0) for node in nodes))


def lacking(needs: Sequence[Need], nodes: Sequence[Node]) -> str | None:
    """Return a sentence on needs that do not fit on the nodes at once; None: all fit.

    Processes that share nodes must fit on them together, and each process on one node.
    """
    for resource in ("CPU", "GPU"):
        for size in range(len(needs), 0, -1):
            for group in itertools.combinations(needs, size):
                if sentence := _lacking_sum(group, nodes, resource):
                    return sentence
    return next(_lacking_nodes(needs, nodes), None)


def _lacking_sum(group: Sequence[Need], nodes: Sequence[Node], resource: str) -> str | None:
    wanting = [need for need in group if need.total(resource)]
    need = sum(need.total(resource) for need in wanting)
    shared = [node for node in nodes if any(select_nodes([node], n.labels) for n in wanting)]
    if need <= total(shared, resource):
        return None
    added = " + ".join(f"{n.total(resource):g} {n.name}{_where(n.labels)}" for n in wanting)
    suffix = " there" if all(n.labels for n in wanting) else ""
    return (
        f"The plan needs {need:g} {resource}{'s' * (need != 1)} at once ({added}); the cluster has "
        f"{total(shared, resource):g}{suffix}."
    )


def _lacking_nodes(needs: Sequence[Need], nodes: Sequence[Node]) -> Iterator[str]:
    """Yield a sentence for each need whose processes fit on the nodes' sum and not on single nodes."""
    for need in needs:
        places = select_nodes(nodes, need.labels)
        fitting = sum(_fitting(need, node) for node in places)
        if fitting < need.count:
            each = " and ".join(f"{amount:g} {name}" for name, amount in need.each.items())
            yield (
                f"The plan needs {need.count} {need.name} of {each} each{_where(need.labels)}, each "
                f"on one node; the nodes have room for {fitting}."
            )


def _fitting(need: Need, node: Node) -> int:
    """Return the number of processes that one node has room for."""
    return min(
        int((node.resources.get(name, 0) + _ROUNDING) // amount)
        for name, amount in need.each.items()
    )


def _where(labels: Mapping[str, str]) -> str:
    pairs = ", ".join(f"{key}={value}" for key, value in labels.items())
    return f" on nodes with {pairs}" if pairs else ""
