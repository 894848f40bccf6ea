"""Figures of a reproduction as CSV and Markdown, and the form of its numbers."""

from __future__ import annotations

from collections.abc import Iterator

from dfray.evaluation.protocol_intervals import PUBLISHED_METRICS
from dfray.evaluation.protocol_table import ABSENT, MARK, METRICS
from dfray.reproduction.figures import Cell
from dfray.reproduction.result import Reproduction, RowResult, versions
from dfray.text import markdown, markdown_code
from dfray.text import to_csv as csv_text

FIELDS = (
    "row",
    "published_row",
    "metric",
    "scenario",
    "column",
    "percent",
    "low",
    "high",
    "published",
    "difference",
    "difference_low",
    "difference_high",
    "seed",
    "note",
)


def number(value: float | None) -> str:
    """Return a percentage with one decimal."""
    return ABSENT if value is None else f"{value:.1f}"


def signed(value: float) -> str:
    """Return a difference with its sign, a minus sign for a hyphen."""
    return f"{value:+.1f}".replace("-", "−")


def hours(seconds: float | None) -> str:
    """Return seconds as hours, minutes if they are few; None: not recorded."""
    if seconds is None:
        return "not recorded"
    return f"{seconds / 60:,.1f} min" if seconds < 3600 else f"{seconds / 3600:,.1f} h"


def money(price: float | None) -> str:
    """Return a price, in the currency of the stated ones; None: none is stated."""
    return ABSENT if price is None else f"{price:,.2f}"


def to_csv(result: Reproduction) -> str:
    """Return a line for each row, metric and column: bare numbers in percent, empty where absent."""
    lines: list[list[object]] = [list(FIELDS)]
    for row in result.rows:
        for metric in PUBLISHED_METRICS:
            for heading, cell in zip(
                result.paper.protocol.headings, row.cells[metric], strict=True
            ):
                values = (cell.value, cell.low, cell.high, cell.published)
                bare = [_bare(value) for value in (*values, *(cell.difference or [None] * 3))]
                name = row.published_name if row.state.row.published else ""
                seed, note = row.state.row.recipe.seed, cell.note or row.problem or ""
                lines.append([row.name, name, metric, *heading, *bare, seed, note])
    return csv_text(lines)


def to_markdown(result: Reproduction) -> str:
    """Return a table for each metric, what is missing, hours and money, deviations, command and versions."""
    protocol, spent = result.paper.protocol, result.spent
    lines = [f"# {markdown(result.paper.file.title)}", ""]
    head = " | ".join(markdown(f"{scenario}: {column}") for scenario, column in protocol.headings)
    for metric in PUBLISHED_METRICS:
        lines += [f"| {METRICS[metric]} | {head} |", "|---|" + "---:|" * len(protocol.headings)]
        lines += [line for row in result.rows for line in _markdown_rows(row, metric)]
        lines.append("")
    sections = {
        "Missing": [markdown(line) for line in result.missing],
        "Videos": [
            f"{markdown(c.dataset)}, {c.subset}: {c.videos:,} of {c.published:,} ({markdown(c.source)})"
            for c in result.comparisons
        ],
        "Hours and money": [
            f"training {hours(spent.train_s)}, {hours(spent.worker_s)} of workers and "
            f"{hours(spent.gpu_s)} of GPUs together; extraction {hours(spent.extract_cpu_s)} of CPU time",
            f"money: {money(spent.price(result.nodes))}",
        ],
        "Deviations": [markdown(line) for line in result.paper.file.deviations],
        "Seeds": [f"{markdown(r.name)}: {r.state.row.recipe.seed}" for r in result.rows],
        "Reproduce it": [markdown_code(result.command)],
        "Versions": [f"{name} {version}" for name, version in versions().items()],
    }
    for title, items in sections.items():
        lines += [f"## {title}", "", *(f"- {item}" for item in items or ["none"]), ""]
    return "\n".join(lines)


def _markdown_rows(row: RowResult, metric: str) -> Iterator[str]:
    cells = row.cells[metric]
    if row.state.row.published:
        values = " | ".join(number(cell.published) for cell in cells)
        yield f"| {markdown(row.published_name)} *(published)* | {values} |"
    if not row.state.is_measured:
        return
    yield f"| **{markdown(row.name)}** | {' | '.join(map(_measured, cells))} |"
    if row.state.row.published:
        yield f"| difference | {' | '.join(map(_difference, cells))} |"


def _measured(cell: Cell) -> str:
    if cell.value is None:
        return ABSENT
    return (
        f"{number(cell.value)}{MARK if cell.note else ''} [{number(cell.low)}, {number(cell.high)}]"
    )


def _difference(cell: Cell) -> str:
    if cell.difference is None:
        return ABSENT
    value, low, high = map(signed, cell.difference)
    return f"{value} [{low}, {high}]"


def _bare(value: float | None) -> float | str:
    return "" if value is None else round(value, 2)
