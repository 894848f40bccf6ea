"""Video-level metrics of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfray.render.tables import console, new_table

if TYPE_CHECKING:
    from dfray.evaluation.metrics import Estimate, Metrics


def show_metrics(metrics: Metrics) -> None:
    """Print the metrics of all videos, of each dataset and of each method; the AUC with its interval."""
    columns = ("scored", f"AUC [{metrics.confidence:.0%}]", "bal. acc.", "EER", "AP")
    table = new_table("", *columns, right=columns)
    groups = [("all videos", metrics.overall)]
    groups += [(f"{group.dataset}", group) for group in metrics.datasets]
    groups += [(f"{group.dataset} / {group.method}", group) for group in metrics.methods]
    for name, group in groups:
        level = group.video
        table.add_row(
            name,
            f"{group.counts.scored}/{group.counts.videos}",
            _interval(level.auc),
            _value(level.balanced_accuracy),
            _value(level.eer),
            _value(level.average_precision),
        )
    console.print(table)


def _value(estimate: Estimate | None) -> str:
    return "–" if estimate is None else f"{estimate.value:.3f}"


def _interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
