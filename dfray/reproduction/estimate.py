"""Hours, storage and price of what is due of a paper's rows, from the plans of their runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dfray.planning.plan import ClusterPlan
from dfray.reproduction.spent import Spent
from dfray.reproduction.state import RowState


@dataclass(frozen=True)
class RowEstimate:
    """Estimate of what is due of one row.

    Attributes:
        due: time of extraction and training; extraction is that of the row which needs the store first.
        extract_s: wall time of that extraction, seconds.
        stored_bytes: faces, checkpoints and model.
        price: if nodes cost only while they work; None: --nodes states no price.
    """

    name: str
    due: Spent
    extract_s: float
    stored_bytes: float
    price: float | None


def estimate_rows(plans: Iterable[tuple[RowState, ClusterPlan]]) -> list[RowEstimate]:
    """Return the estimate of each row, the faces of a shared store counted once."""
    counted, estimates = set[str](), list[RowEstimate]()
    for state, plan in plans:
        store = state.run.folder.faces
        extracted = state.run.extracted()
        share = 0.0 if store in counted else extracted.missing / max(1, extracted.total)
        counted.add(store)
        estimates.append(_estimate(state, plan, share))
    return estimates


def _estimate(state: RowState, plan: ClusterPlan, share: float) -> RowEstimate:
    """Return the estimate of a row.

    Args:
        share: of its videos, 0..1, that are yet to be extracted for it.
    """
    trains = state.stage("train").state == "due"
    train_s = plan.train_s if trains else 0.0
    workers = plan.recipe.training.num_workers
    due = Spent(
        train_s=train_s,
        worker_s=train_s * workers,
        gpu_s=train_s * workers if plan.on_gpus else 0.0,
        extract_cpu_s=plan.extraction.cpu_s.value * share,
    )
    faces_bytes = plan.extraction.stored_bytes.value
    run_bytes = plan.stored_bytes.value - faces_bytes if trains else 0.0
    return RowEstimate(
        name=state.row.name,
        due=due,
        extract_s=plan.extract_s.value * share,
        stored_bytes=faces_bytes * share + run_bytes,
        price=due.price(plan.nodes),
    )
