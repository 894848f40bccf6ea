"""Summary of an evaluation: metrics.json for programs, metrics.md for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from dfray import storage
from dfray.documents import read_json, validated
from dfray.evaluation.estimate import Estimate
from dfray.evaluation.metrics import Group, Level, MeanLevel, Metrics
from dfray.evaluation.names import ALL_VIDEOS
from dfray.evaluation.operational_metrics import OperationalMetrics
from dfray.evaluation.ranking_metrics import METRICS
from dfray.text import markdown

if TYPE_CHECKING:
    from dfray.evaluation.robustness import PostProcessingDrop


def write_summary(
    folder_uri: str, metrics: Metrics, drops: Sequence[PostProcessingDrop] = ()
) -> None:
    """Write metrics.json (`Metrics.model_validate_json` reads it back) and metrics.md.

    Drops of AUC under post-processing are in metrics.md and, one by one, in robustness.json.

    Raises:
        StorageError: the folder cannot be written.
    """
    as_json = metrics.model_dump_json(indent=2).encode()
    storage.write_bytes(as_json, storage.join(folder_uri, "metrics.json"))
    table = metrics_table(metrics, drops)
    storage.write_bytes(table.encode(), storage.join(folder_uri, "metrics.md"))
    if drops:
        rows = [asdict(entry) | {"drops": entry.drops} for entry in drops]
        as_json = json.dumps(rows, indent=2).encode()
        storage.write_bytes(as_json, storage.join(folder_uri, "robustness.json"))


def read_drops(folder_uri: str) -> list[PostProcessingDrop]:
    """Return the drops that `write_summary` wrote; [] if there were none.

    Raises:
        StorageError: the file cannot be read.
    """
    from dfray.evaluation.robustness import PostProcessingDrop

    uri = storage.join(folder_uri, "robustness.json")
    rows = read_json(uri, with_nan=True) if storage.exists(uri) else []
    return validated(list[PostProcessingDrop], rows, uri)


def metrics_table(metrics: Metrics, drops: Sequence[PostProcessingDrop] = ()) -> str:
    """Return the metrics, and the drops of AUC under them, as Markdown."""
    return "".join(
        [
            to_markdown(metrics),
            operational_to_markdown(metrics),
            subgroups_to_markdown(metrics),
            drops_to_markdown(drops),
        ]
    )


def to_markdown(metrics: Metrics) -> str:
    """Return the video-level metrics with their intervals as a Markdown table."""
    groups = [metrics.overall, *metrics.datasets, *metrics.methods, *metrics.identity_groups]
    labels = " | ".join(metric.label for metric in METRICS.values())
    head = f"| | real | fake | {labels} | scored |"
    mean = metrics.mean_of_several
    rows = [_mean_row(mean)] if mean else []
    rows += [_row(group, f"{ALL_VIDEOS}, pooled" if mean else ALL_VIDEOS) for group in groups]
    lines = [head, "|---|" + "---:|" * (len(METRICS) + 3), *rows]
    note = (
        f"Video level on the {metrics.split} split, threshold {metrics.threshold:.4g}; in brackets "
        f"{100 * metrics.confidence:g} % intervals, which hold for few videos, too."
    )
    return "\n".join([*lines, "", note, ""])


def operational_to_markdown(metrics: Metrics) -> str:
    """Return the figures for use of all videos and of each dataset as a Markdown table; empty without any."""
    if metrics.overall.operational is None:
        return ""
    head = "| | fakes found at 1 % false alarms | at 5 % | Brier score | calibration error |"
    several = metrics.datasets if len(metrics.datasets) > 1 else []
    rows = [
        f"| {' | '.join([name, *_operational_cells(level)])} |"
        for name, level in [
            (ALL_VIDEOS, metrics.overall.operational),
            *((markdown(str(group.dataset)), group.operational) for group in several),
        ]
    ]
    return "\n".join(["", head, "|---|" + "---:|" * 4, *rows, ""])


def subgroups_to_markdown(metrics: Metrics) -> str:
    """Return the error rates by group as a Markdown table; empty without groups."""
    if not metrics.subgroups:
        return ""
    head = "| group | real | fake | real called fake | fakes missed |"
    rows = [
        f"| {markdown(f'{group.attribute}: {group.value}')} | {group.n_real} | {group.n_fake} "
        f"| {_cell(group.false_alarms)} | {_cell(group.misses)} |"
        for group in metrics.subgroups
    ]
    return "\n".join(["", head, "|---|" + "---:|" * 4, *rows, ""])


def _operational_cells(level: OperationalMetrics | None) -> list[str]:
    if level is None:
        return ["–"] * 4
    estimates = (level.tpr_at_fpr_1, level.tpr_at_fpr_5, level.brier)
    return [*map(_cell, estimates), f"{level.calibration_error:.3f}"]


def drops_to_markdown(drops: Sequence[PostProcessingDrop]) -> str:
    """Return the drop of AUC at every strength as a Markdown table; empty if none was measured."""
    if not drops:
        return ""
    head = "| drop of AUC | clean AUC | mildest | 2 | 3 | 4 | harshest |"
    lines = [head, "|---|" + "---:|" * 6]
    for entry in drops:
        cells = [
            f"{drop:.3f} ({strength:g})"
            for drop, strength in zip(entry.drops, entry.strengths, strict=True)
        ]
        lines.append(f"| {entry.unit} | {entry.clean:.3f} | {' | '.join(cells)} |")
    return "\n".join(["", *lines, ""])


def _mean_row(mean: MeanLevel) -> str:
    return f"| {' | '.join([mean.name, *_cells(mean), ''])} |"


def _row(group: Group, overall: str) -> str:
    names = (group.dataset, group.method, group.identity_group)
    name = " / ".join(filter(None, names)) or overall
    counts = f"{group.counts.scored}/{group.counts.videos}"
    return f"| {' | '.join([markdown(name), *_cells(group.video), counts])} |"


def _cells(level: Level) -> list[str]:
    metrics = [_cell(getattr(level, name)) for name in METRICS]
    return [str(level.n_real), str(level.n_fake), *metrics]


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
