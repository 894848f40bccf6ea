"""Video-level metrics of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfray.evaluation.names import ALL_VIDEOS
from dfray.render.tables import console, new_table

if TYPE_CHECKING:
    from dfray.evaluation.estimate import Estimate
    from dfray.evaluation.metrics import Level, Metrics


def show_metrics(metrics: Metrics) -> None:
    """Print the mean over columns, the metrics of all videos, datasets and methods; AUC with its interval."""
    columns = ("scored", f"AUC [{metrics.confidence:.0%}]", "bal. acc.", "EER", "AP")
    table = new_table("", *columns, right=columns)
    groups = [(f"{group.dataset}", group) for group in metrics.datasets]
    groups += [(f"{group.dataset} / {group.method}", group) for group in metrics.methods]
    pooled = ALL_VIDEOS
    if (mean := metrics.mean_of_several) is not None:
        table.add_row(mean.name, "", *_cells(mean))
        pooled = f"{ALL_VIDEOS}, pooled"
    for name, group in [(pooled, metrics.overall), *groups]:
        table.add_row(name, f"{group.counts.scored}/{group.counts.videos}", *_cells(group.video))
    console.print(table)


def _cells(level: Level) -> list[str]:
    others = (level.balanced_accuracy, level.eer, level.average_precision)
    return [_interval(level.auc), *map(_value, others)]


def _value(estimate: Estimate | None) -> str:
    return "–" if estimate is None else f"{estimate.value:.3f}"


def _interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
