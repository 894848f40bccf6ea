"""The page of a reproduction, and its CSV and Markdown: the same figures, and names that are text."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import re
from pathlib import Path

import pytest

from dfray.reproduction.page import to_html, write_page
from dfray.reproduction.tables import hours, number, signed, to_csv, to_markdown
from tests.reproduction.conftest import MakeResult

EVIL = "<script>alert('x')</script>|"


def csv_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def cells_of(html: str, first: str) -> list[str]:
    """Return the cells of the first table row whose first cell begins so."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", html, re.S)
    texts = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.S) for row in rows]
    return next(cells for cells in texts if cells and cells[0].startswith(first))


def test_ours_stands_below_the_published_row_with_interval_and_difference(
    make_result: MakeResult,
) -> None:
    result = make_result()
    html = to_html(result)
    cell = result.rows[0].cells["auc"][0]
    assert cell.difference is not None
    assert cells_of(html, "First<small>published")[1] == "70.0"
    ours = cells_of(html, "first<small>ours")[1]
    assert ours == f"{number(cell.value)}<small>{number(cell.low)} – {number(cell.high)}</small>"
    difference = cells_of(html, "difference")[1]
    assert difference.startswith(signed(cell.difference[0]))


def test_a_column_without_data_is_a_dash_and_said_to_be_missing(make_result: MakeResult) -> None:
    html = to_html(make_result())
    assert cells_of(html, "first<small>ours")[2] == "—"
    assert "Corpus extra is not held or not asked for: its columns are empty." in html
    assert "Column Generated / Extra: no video of extra." in html
    assert "9 of 10 published videos" in html


def test_an_average_over_fewer_columns_is_marked(make_result: MakeResult) -> None:
    html = to_html(make_result())
    assert "†<small>" in cells_of(html, "first<small>ours")[3]
    assert "Column Generated / Avg: 1 of 2 columns" in html


def test_a_row_that_is_not_measured_has_its_reason_in_the_place_of_figures(
    make_result: MakeResult,
) -> None:
    row = cells_of(to_html(make_result()), "third<small>ours")
    assert row[1] == "Not measured. It trains on learned, not held or not asked for."


def test_hours_and_money_are_summed_over_rows_and_extraction(make_result: MakeResult) -> None:
    total = cells_of(to_html(make_result()), "In all")
    assert total[1:] == ["2.0 h", "4.0 h", "4.0 h", "15.0 min", f"{2 * 3 + 900 / 3600 / 2 * 3:.2f}"]


def test_without_prices_no_money_is_told(make_result: MakeResult) -> None:
    html = to_html(make_result(nodes=None))
    assert cells_of(html, "In all")[-1] == "—"
    assert "No price is stated" in html


def test_seeds_deviations_command_and_versions_are_told(make_result: MakeResult) -> None:
    result, torch_version = make_result(), importlib.metadata.version("torch")
    for text, mark in ((to_html(result), "</td><td>"), (to_markdown(result), " ")):
        assert "Clips are drawn." in text
        assert "dfray reproduce paper.yaml" in text
        assert f"torch{mark}{torch_version}" in text
    assert {row["seed"] for row in csv_rows(to_csv(result))} == {"0"}


def test_the_page_is_one_file_that_loads_nothing_and_runs_nothing(
    make_result: MakeResult, tmp_path: Path
) -> None:
    page = write_page(str(tmp_path / "out"), make_result())
    html = Path(page).read_text()
    assert "default-src 'none'" in html
    assert not re.search(r"<(script|link|iframe|img)\b", html)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "twins.csv",
        "twins.html",
        "twins.md",
    ]


def test_csv_has_bare_numbers_for_each_row_metric_and_column(make_result: MakeResult) -> None:
    result = make_result()
    rows = csv_rows(to_csv(result))
    assert len(rows) == 3 * 2 * 3
    first = rows[0]
    cell = result.rows[0].cells["auc"][0]
    assert cell.difference is not None
    assert float(first["percent"]) == pytest.approx(cell.value, abs=0.005)
    assert float(first["difference_low"]) == pytest.approx(cell.difference[1], abs=0.005)
    assert first["published"] == "70.0"
    assert rows[1]["percent"] == rows[1]["difference"] == ""
    assert rows[-1]["note"] == "It trains on learned, not held or not asked for."


def test_markdown_has_the_figures_of_the_page(make_result: MakeResult) -> None:
    result = make_result()
    cell = result.rows[0].cells["auc"][0]
    lines = to_markdown(result).splitlines()
    (row,) = [line for line in lines if line.startswith("| **first** |") and "†" in line][:1]
    assert row.split("|")[2].strip().startswith(number(cell.value))
    assert "| First *(published)* | 70.0 | 60.0 | 65.0 |" in lines


def test_names_from_outside_are_text(make_result: MakeResult) -> None:
    def edit(text: str) -> str:
        return text.replace("First", f'"{EVIL}"').replace("name: Demo", f'name: "{EVIL}"')

    result = make_result(edit=edit)
    assert "<script" not in to_html(result)
    assert "<script" not in to_markdown(result).replace(r"\<", "")
    assert csv_rows(to_csv(result))[0]["published_row"] == EVIL


def test_hours_are_minutes_if_few_and_unknown_ones_are_not_zero() -> None:
    assert (hours(90), hours(7200), hours(None)) == ("1.5 min", "2.0 h", "not recorded")
