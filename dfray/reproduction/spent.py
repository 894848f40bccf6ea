"""Hours that the rows of a paper took, as their runs recorded them, and their price."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dfray.planning.nodes import Nodes
from dfray.reproduction.state import RowState


@dataclass(frozen=True)
class Spent:
    """Time of training and extraction, seconds.

    Attributes:
        train_s: wall time of the trained epochs.
        worker_s: of their workers together.
        gpu_s: of their GPUs together; None: the epochs were trained before it was recorded.
        extract_cpu_s: CPU time of all videos' extraction.
    """

    train_s: float = 0.0
    worker_s: float = 0.0
    gpu_s: float | None = 0.0
    extract_cpu_s: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        known = self.gpu_s is not None and other.gpu_s is not None
        return Spent(
            self.train_s + other.train_s,
            self.worker_s + other.worker_s,
            (self.gpu_s or 0) + (other.gpu_s or 0) if known else None,
            self.extract_cpu_s + other.extract_cpu_s,
        )

    def price(self, nodes: Nodes | None) -> float | None:
        """Return the price, if nodes cost only while they work; None: no price is stated.

        Training takes the training nodes for its wall time. Extraction takes the extracting ones, all of
        whose CPUs work.
        """
        if nodes is None or nodes.training.price is None or nodes.extracting.price is None:
            return None
        extract_s = self.extract_cpu_s / nodes.extracting.cpus
        return (self.train_s * nodes.training.price + extract_s * nodes.extracting.price) / 3600


def training_of(history: Sequence[dict[str, float]]) -> Spent:
    """Return what the epochs of a history took."""
    known = all("gpus" in epoch for epoch in history)
    return Spent(
        train_s=sum(epoch["seconds"] for epoch in history),
        worker_s=sum(epoch["seconds"] * epoch["workers"] for epoch in history),
        gpu_s=sum(epoch["seconds"] * epoch["gpus"] for epoch in history) if known else None,
    )


def spent_on(state: RowState) -> Spent:
    """Return what a row's training took; nothing if it took over that of another run."""
    if state.stage("train").state != "done":
        return Spent()
    return training_of(state.run.folder.state().history or [])


def extraction_of(states: Iterable[RowState]) -> Spent:
    """Return what the extraction of the rows' videos took; a video that rows share counts once."""
    cpu_s: dict[tuple[str, str], float] = {}
    for state in states:
        if not state.run.is_listed:
            continue
        summaries = state.run.faces.summaries()
        seconds = summaries["cpu_s"].to_pylist()
        for video, spent_s in zip(summaries["video_id"].to_pylist(), seconds, strict=True):
            cpu_s[state.run.folder.faces, video] = spent_s
    return Spent(extract_cpu_s=sum(cpu_s.values()))
