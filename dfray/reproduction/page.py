"""Page of a reproduction: one self-contained HTML file, and the same as CSV and Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dfray import storage
from dfray.evaluation.protocol_intervals import PUBLISHED_METRICS
from dfray.evaluation.protocol_table import METRICS
from dfray.pages.page import stylesheet, template_environment
from dfray.reproduction.figures import Cell
from dfray.reproduction.result import Reproduction, RowResult, versions
from dfray.reproduction.tables import hours, money, number, signed, to_csv, to_markdown


@dataclass(frozen=True)
class Summary:
    """Number of figures that are compared, and of those whose interval has the published one."""

    compared: int
    within: int


def write_page(folder_uri: str, result: Reproduction) -> str:
    """Write <paper>.html, .md and .csv into the folder; return the URI of the page.

    Raises:
        StorageError: the folder cannot be written.
    """
    name = result.paper.name
    for suffix, text in (
        ("csv", to_csv(result)),
        ("md", to_markdown(result)),
        ("html", to_html(result)),
    ):
        storage.write_bytes(text.encode(), storage.join(folder_uri, f"{name}.{suffix}"))
    return storage.join(folder_uri, f"{name}.html")


def to_html(result: Reproduction) -> str:
    """Return the page."""
    protocol = result.paper.protocol
    template = template_environment("dfray.reproduction").get_template("reproduction.html.jinja")
    levels = {row.state.row.recipe.evaluation.confidence for row in result.rows}
    return template.render(
        title=result.paper.file.title,
        protocol=protocol,
        result=result,
        measured=sum(row.state.is_measured for row in result.rows),
        summary=_summary(result),
        tables=list(_tables(result)),
        spans=protocol.spans,
        firsts=protocol.firsts,
        confidence=" or ".join(f"{level:.0%}" for level in sorted(levels)),
        runs={row.name: _facts(row) for row in result.rows},
        spent=result.spent,
        price=result.spent.price(result.nodes),
        versions=versions(),
        hours=hours,
        money=money,
        number=number,
        signed=signed,
        css=stylesheet(),
    )


def _tables(result: Reproduction) -> Iterator[tuple[str, str, list[RowResult]]]:
    """Yield (metric, title, rows) of each metric that is measured or published."""
    for metric in PUBLISHED_METRICS:
        cells = [cell for row in result.rows for cell in row.cells[metric]]
        if any(cell.published is not None or cell.value is not None for cell in cells):
            yield metric, METRICS[metric], list(result.rows)


def _summary(result: Reproduction) -> Summary:
    cells: list[Cell] = [
        cell for row in result.rows for metric in PUBLISHED_METRICS for cell in row.cells[metric]
    ]
    differences = [difference for cell in cells if (difference := cell.difference)]
    return Summary(len(differences), sum(low <= 0 <= high for _, low, high in differences))


def _facts(row: RowResult) -> dict[str, Any]:
    """Return a row's epochs, run and MLflow run, as far as it has begun."""
    if not row.state.run.is_listed:
        return {"epochs": "—", "run": "—", "mlflow": "—"}
    folder = row.state.run.folder
    stored = folder.state()
    epochs = "—" if stored.history is None else str(len(stored.history))
    return {"epochs": epochs, "run": folder.run_name, "mlflow": stored.run_id or "—"}
