"""A protocol's table for several models side by side, the published rows beside them.

The same rows go out three times: a page for people (self-contained HTML), Markdown for a pull request,
and CSV with bare numbers for whoever computes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dfray import storage
from dfray.config import UNFITTED_THRESHOLD
from dfray.evaluation.dataset_statistics import DatasetStatistics
from dfray.evaluation.paired import Difference
from dfray.evaluation.protocol import ColumnMetrics, Protocol
from dfray.evaluation.protocol_pairs import PairedRow
from dfray.pages.page import assets, template_environment
from dfray.text import markdown
from dfray.text import to_csv as csv_text

METRICS = {
    "auc": "AUC (%)",
    "balanced_accuracy": f"Balanced accuracy at {UNFITTED_THRESHOLD:g} (%)",
    "own_balanced_accuracy": "Balanced accuracy at each model's own threshold (%)",
}
"""Published rows have the first two: the papers' threshold is fixed."""
ABSENT, MARK = "—", "†"


@dataclass(frozen=True)
class ProtocolResult:
    """One model's figures, in the order of the protocol's headings.

    Attributes:
        threshold: the model's own.
        methods: (column, method, figure), from `protocol.method_metrics`.
        video_rule: the model's own, by which its videos are scored.
        note: what its figures suffer from here, if anything.
        trained_on: corpora of its training, in words; None: not known.
    """

    name: str
    threshold: float
    figures: list[ColumnMetrics]
    methods: list[tuple[str, str, ColumnMetrics]]
    video_rule: str = "mean"
    note: str | None = None
    trained_on: str | None = None


@dataclass(frozen=True)
class Row:
    """One row as it is shown: cells are percent, an absent one is None; marked ones lack something."""

    name: str
    published: bool
    cells: list[float | None]
    marked: list[bool]


def write_protocol_table(
    folder_uri: str,
    protocol: Protocol,
    models: Sequence[ProtocolResult],
    collections: Sequence[DatasetStatistics] = (),
    pairs: Sequence[PairedRow] = (),
) -> str:
    """Write <protocol>.html, .md and .csv into the folder; returns the URI of the page.

    Raises:
        StorageError: the folder cannot be written.
    """
    page = storage.join(folder_uri, f"{protocol.name}.html")
    for suffix, text in (
        ("csv", to_csv(protocol, models)),
        ("md", to_markdown(protocol, models, pairs)),
        ("html", to_html(protocol, models, collections, pairs)),
    ):
        storage.write_bytes(text.encode(), storage.join(folder_uri, f"{protocol.name}.{suffix}"))
    return page


def rows_of(protocol: Protocol, models: Sequence[ProtocolResult], metric: str) -> list[Row]:
    """The published rows, then the models'."""
    published = protocol.published.rows if protocol.published else []
    rows = [
        Row(row.name, True, list(getattr(row, metric)), [False] * len(protocol.headings))
        for row in published
        if getattr(row, metric, None) is not None
    ]
    for model in models:
        cells = [_percent(getattr(figure, metric)) for figure in model.figures]
        rows.append(Row(model.name, False, cells, [_is_marked(f) for f in model.figures]))
    return rows


def notes_of(protocol: Protocol, models: Sequence[ProtocolResult]) -> list[str]:
    """Return the notes on marked and absent metrics of the models, without repetitions."""
    notes: dict[str, None] = {}
    for model in models:
        for (scenario, column), figure in zip(protocol.headings, model.figures, strict=True):
            if figure.note:
                mark = MARK if _is_marked(figure) else ABSENT
                notes[f"{mark} {scenario} / {column}: {figure.note}"] = None
    return list(notes)


def to_markdown(
    protocol: Protocol, models: Sequence[ProtocolResult], pairs: Sequence[PairedRow] = ()
) -> str:
    """A table for each metric, one of paired differences, and below them what is missing."""
    lines = [f"# {markdown(protocol.title)}", ""]
    head = " | ".join(markdown(f"{scenario}: {column}") for scenario, column in protocol.headings)
    for metric, title in METRICS.items():
        lines += [f"| {title} | {head} |", "|---|" + "---:|" * len(protocol.headings)]
        for row in rows_of(protocol, models, metric):
            name = markdown(row.name)
            name = f"{name} *(published)*" if row.published else f"**{name}**"
            cells = [_cell(*pair) for pair in zip(row.cells, row.marked, strict=True)]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append("")
    if pairs:
        lines += [f"| {markdown(_paired_title(pairs))} | {head} |"]
        lines += ["|---|" + "---:|" * len(protocol.headings)]
        lines += [
            f"| **{markdown(row.name)}** | {' | '.join(map(_difference, row.cells))} |"
            for row in pairs
        ]
        lines.append("")
    return "\n".join(
        [*lines, *(f"- {markdown(line)}" for line in _small_print(protocol, models)), ""]
    )


def to_csv(protocol: Protocol, models: Sequence[ProtocolResult]) -> str:
    """One line for each row, metric and column: bare numbers in percent, empty where absent."""
    fields = ("row", "published", "metric", "scenario", "column", "percent")
    lines: list[list[object]] = [[*fields, "n_real", "n_fake", "n_unscored", "note"]]
    counted = {model.name: model.figures for model in models}
    for metric in METRICS:
        for row in rows_of(protocol, models, metric):
            figures = None if row.published else counted[row.name]
            for place, (heading, value) in enumerate(
                zip(protocol.headings, row.cells, strict=True)
            ):
                line: list[object] = [
                    row.name,
                    row.published,
                    metric,
                    *heading,
                    "" if value is None else value,
                ]
                lines.append([*line, *(_counts(figures[place]) if figures else [""] * 4)])
        for model in models:
            for column, method, figure in model.methods:
                share = _percent(getattr(figure, metric))
                name = [model.name, False, metric, "by method", f"{column} / {method}"]
                lines.append([*name, "" if share is None else share, *_counts(figure)])
    return csv_text(lines)


def to_html(
    protocol: Protocol,
    models: Sequence[ProtocolResult],
    collections: Sequence[DatasetStatistics],
    pairs: Sequence[PairedRow] = (),
) -> str:
    """The page: both tables, the figures by method, the counts, and the collections' statistics."""
    tables = [(title, rows_of(protocol, models, metric)) for metric, title in METRICS.items()]
    template = template_environment("dfray.evaluation").get_template("comparison.html.jinja")
    return template.render(
        protocol=protocol,
        spans=protocol.spans,
        firsts=protocol.firsts,
        tables=tables,
        models=models,
        methods=_by_method(models),
        notes=_small_print(protocol, models),
        collections=collections,
        pairs=pairs,
        paired_title=_paired_title(pairs) if pairs else "",
        difference=_difference,
        cell=_cell,
        percent=_percent,
        **assets(),
    )


def _by_method(
    models: Sequence[ProtocolResult],
) -> dict[tuple[str, str], list[ColumnMetrics | None]]:
    """(column, method) -> the figure of each model."""
    rows: dict[tuple[str, str], list[ColumnMetrics | None]] = {}
    for place, model in enumerate(models):
        for column, method, figure in model.methods:
            rows.setdefault((column, method), [None] * len(models))[place] = figure
    return rows


def _small_print(protocol: Protocol, models: Sequence[ProtocolResult]) -> list[str]:
    lines = notes_of(protocol, models)
    lines += [
        f"{m.name}: its own threshold is {m.threshold:.4g}, videos scored by {m.video_rule}"
        for m in models
    ]
    lines += [f"{m.name}: {m.note}" for m in models if m.note]
    lines += [f"{m.name}: trained on {m.trained_on or 'what is not stated'}" for m in models]
    if protocol.published:
        lines += [f"Published rows: {protocol.published.source}, for reference"]
        lines += protocol.published.notes
    return lines


def _is_marked(figure: ColumnMetrics) -> bool:
    return figure.auc is not None and figure.note is not None


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)


def _cell(value: float | None, marked: bool = False) -> str:
    return ABSENT if value is None else f"{value:.1f}{MARK if marked else ''}"


def _paired_title(pairs: Sequence[PairedRow]) -> str:
    return f"AUC less that of {pairs[0].reference} on the same videos (points, with its interval)"


def _difference(found: Difference | None) -> str:
    if found is None:
        return ABSENT
    gap = 100 * (found.candidate - found.champion)
    return f"{gap:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def _counts(figure: ColumnMetrics) -> list[int | str]:
    return [figure.n_real, figure.n_fake, figure.n_unscored, figure.note or ""]
