"""The figures for machines (metrics.json) and for a pull request or a chat (metrics.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from dfray import storage
from dfray.evaluation.metrics import Estimate, Group, Metrics

if TYPE_CHECKING:
    from dfray.evaluation.robustness import PostProcessingDrop

_COLUMNS = "| | real | fake | AUC | balanced accuracy | EER | average precision | scored |"


def write_summary(
    folder_uri: str, metrics: Metrics, losses: Sequence[PostProcessingDrop] = ()
) -> None:
    """Write metrics.json (`Metrics.model_validate_json` reads it back) and metrics.md.

    Losses of AUC under post-processing stand in metrics.md and, each by itself, in robustness.json.

    Raises:
        StorageError: the folder cannot be written.
    """
    as_json = metrics.model_dump_json(indent=2).encode()
    storage.write_bytes(as_json, storage.join(folder_uri, "metrics.json"))
    table = metrics_table(metrics, losses)
    storage.write_bytes(table.encode(), storage.join(folder_uri, "metrics.md"))
    if losses:
        rows = [asdict(loss) | {"drops": loss.drops} for loss in losses]
        as_json = json.dumps(rows, indent=2).encode()
        storage.write_bytes(as_json, storage.join(folder_uri, "robustness.json"))


def read_drops(folder_uri: str) -> list[PostProcessingDrop]:
    """The losses that `write_summary` wrote; [] if there were none.

    Raises:
        StorageError: the file cannot be read.
    """
    from dfray.evaluation.robustness import PostProcessingDrop

    uri = storage.join(folder_uri, "robustness.json")
    rows = json.loads(storage.read_bytes(uri)) if storage.exists(uri) else []
    return [
        PostProcessingDrop(
            **{name: row[name] for name in ("kind", "unit", "clean", "strengths", "aucs")}
        )
        for row in rows
    ]


def metrics_table(metrics: Metrics, losses: Sequence[PostProcessingDrop] = ()) -> str:
    """Return the metrics, and the drops of AUC under them, as Markdown."""
    return to_markdown(metrics) + drops_to_markdown(losses)


def to_markdown(metrics: Metrics) -> str:
    """The video-level figures with their intervals as a Markdown table."""
    groups = [metrics.overall, *metrics.datasets, *metrics.methods, *metrics.identity_groups]
    lines = [_COLUMNS, "|---|" + "---:|" * 7, *map(_row, groups)]
    note = (
        f"Video level on the {metrics.split} split, threshold {metrics.threshold:g}; in brackets "
        f"{100 * metrics.confidence:g} % intervals over {metrics.bootstrap} resamples of videos."
    )
    return "\n".join([*lines, "", note, ""])


def drops_to_markdown(losses: Sequence[PostProcessingDrop]) -> str:
    """The drop of AUC at every strength as a Markdown table; nothing if none was measured."""
    if not losses:
        return ""
    head = "| drop of AUC | clean AUC | mildest | 2 | 3 | 4 | harshest |"
    lines = [head, "|---|" + "---:|" * 6]
    for loss in losses:
        cells = [
            f"{drop:.3f} ({strength:g})"
            for drop, strength in zip(loss.drops, loss.strengths, strict=True)
        ]
        lines.append(f"| {loss.unit} | {loss.clean:.3f} | {' | '.join(cells)} |")
    return "\n".join(["", *lines, ""])


def _row(group: Group) -> str:
    parts = (group.dataset, group.method, group.identity_group)
    name = " / ".join(part for part in parts if part) or "overall"
    level, counts = group.video, group.counts
    figures = (level.auc, level.balanced_accuracy, level.eer, level.average_precision)
    cells = [
        name.replace("|", "\\|"),
        str(level.n_real),
        str(level.n_fake),
        *map(_cell, figures),
        f"{counts.scored}/{counts.videos}",
    ]
    return f"| {' | '.join(cells)} |"


def _cell(figure: Estimate | None) -> str:
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]" if figure else "–"
