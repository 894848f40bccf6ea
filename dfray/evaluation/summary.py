"""The figures for machines (metrics.json) and for a pull request or a chat (metrics.md)."""

from __future__ import annotations

from dfray import storage
from dfray.evaluation.metrics import Estimate, Group, Metrics

_COLUMNS = "| | real | fake | AUC | balanced accuracy | EER | average precision | scored |"


def write_summary(folder_uri: str, metrics: Metrics) -> None:
    """Write metrics.json (`Metrics.model_validate_json` reads it back) and metrics.md.

    Raises:
        StorageError: the folder cannot be written.
    """
    as_json = metrics.model_dump_json(indent=2).encode()
    storage.write_bytes(as_json, storage.join(folder_uri, "metrics.json"))
    storage.write_bytes(to_markdown(metrics).encode(), storage.join(folder_uri, "metrics.md"))


def to_markdown(metrics: Metrics) -> str:
    """The video-level figures with their intervals as a Markdown table."""
    groups = [metrics.overall, *metrics.datasets, *metrics.methods, *metrics.identity_groups]
    lines = [_COLUMNS, "|---|" + "---:|" * 7, *map(_row, groups)]
    note = (
        f"Video level on the {metrics.split} split, threshold {metrics.threshold:g}; in brackets "
        f"{100 * metrics.confidence:g} % intervals over {metrics.bootstrap} resamples of videos."
    )
    return "\n".join([*lines, "", note, ""])


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
