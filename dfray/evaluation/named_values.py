"""Metrics of an evaluation under flat names, as a tracking server's tables and charts take them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from dfray.evaluation.metrics import Group, Level, Metrics
from dfray.evaluation.ranking_metrics import METRICS

_NOT_ALLOWED = re.compile(r"[^\w.\- ]", re.ASCII)
"""Characters that MLflow takes in no name of a metric; a slash begins a new section of its page."""


def named_values(metrics: Metrics) -> dict[str, float]:
    """Return name -> value of the video-level metrics that are defined, without their intervals.

    Names are `<split>/auc` over all videos pooled, `<split>/mean_auc` over columns, which decides, and
    `<split>/<dataset>/auc`; likewise the other metrics, and counts. Characters of a dataset's name that
    MLflow does not take are underscores.
    """
    split, overall = metrics.split, metrics.overall
    values = {f"{split}/{name}": value for name, value in _of_group(overall)}
    values |= {
        f"{split}/coverage": overall.counts.coverage,
        f"{split}/videos_scored": float(overall.counts.scored),
        f"{split}/threshold": metrics.threshold,
    }
    if metrics.mean is not None and overall.video.reason is None:
        values |= {f"{split}/mean_{name}": value for name, value in _of_level(metrics.mean)}
    if len(metrics.datasets) > 1:
        sections = _sections([str(group.dataset) for group in metrics.datasets])
        for section, group in zip(sections, metrics.datasets, strict=True):
            values |= {f"{split}/{section}/{name}": value for name, value in _of_group(group)}
    return {name: value for name, value in values.items() if value is not None}


def kept_values(history: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return `kept/<name>` -> value, the validation metrics of the epoch whose weights were kept.

    MLflow's tables show the last epoch's, under the names without `kept/`.

    Args:
        history: per epoch, as training records it. Without a `selection_loss` there is no value.
    """
    ended = [epoch for epoch in history if epoch.get("selection_loss") is not None]
    kept = min(ended, key=lambda epoch: epoch["selection_loss"], default={})
    names = ("epoch", "selection_loss", *(name for name in kept if name.startswith("val_")))
    return {f"kept/{name}": kept[name] for name in names if kept.get(name) is not None}


def _of_level(level: Level) -> Iterator[tuple[str, float]]:
    for name in METRICS:
        if (estimate := getattr(level, name)) is not None:
            yield name, estimate.value


def _of_group(group: Group) -> Iterator[tuple[str, float | None]]:
    yield from _of_level(group.video)
    if (operational := group.operational) is not None:
        for name in ("tpr_at_fpr_1", "tpr_at_fpr_5", "brier"):
            if (estimate := getattr(operational, name)) is not None:
                yield name, estimate.value
        yield "calibration_error", operational.calibration_error


def _sections(names: Sequence[str]) -> list[str]:
    """Return a name that MLflow takes for each of `names`, no two alike."""
    sections: list[str] = []
    for name in names:
        section = _NOT_ALLOWED.sub("_", name)
        while section in sections:
            section += "_"
        sections.append(section)
    return sections
