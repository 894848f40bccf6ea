"""Cells: ours, published, and the difference with the interval of ours."""

from __future__ import annotations

import pytest

from dfray.evaluation.aggregate import VIDEO_SCORES
from dfray.evaluation.protocol import apply_protocol, load_protocol
from dfray.reproduction.figures import Cell, compare_figures
from tests.evaluation.test_protocol import corpus

PAPER = load_protocol("paper")


def test_a_difference_is_ours_minus_published_and_takes_the_published_as_exact() -> None:
    cell = Cell(value=90.0, low=88.0, high=91.5, published=91.0)
    assert cell.difference == (-1.0, -3.0, 0.5)


@pytest.mark.parametrize("cell", [Cell(published=91.0), Cell(90.0, 88.0, 91.0)])
def test_without_both_figures_there_is_no_difference(cell: Cell) -> None:
    assert cell.difference is None


def test_cells_are_the_protocols_figures_in_percent_beside_the_published_row() -> None:
    assert PAPER.published is not None
    row = PAPER.published.rows[0]
    videos = VIDEO_SCORES.from_rows(corpus("ff++", {"Deepfakes": "FS"}, 9))
    cells = compare_figures(PAPER, row, videos, 0.95)
    figure = apply_protocol(PAPER, videos, 0.5)[0]
    assert figure.auc is not None
    assert cells["auc"][0].value == pytest.approx(100 * figure.auc)
    assert [cell.published for cell in cells["balanced_accuracy"]] == row.balanced_accuracy
    assert cells["auc"][1].value is None
    assert cells["auc"][1].note == "no video of celeb-df-v2"


def test_a_row_that_is_not_measured_has_the_published_figures_alone() -> None:
    assert PAPER.published is not None
    cells = compare_figures(PAPER, PAPER.published.rows[2], None, 0.95)
    assert {cell.value for cell in cells["auc"]} == {None}
    assert [cell.published for cell in cells["auc"]] == PAPER.published.rows[2].auc


def test_a_paper_without_a_metric_has_no_published_figure_of_it() -> None:
    clip = load_protocol("clip")
    assert clip.published is not None
    cells = compare_figures(clip, clip.published.rows[0], None, 0.95)
    assert cells["auc"][0].published is not None
    assert {cell.published for cell in cells["balanced_accuracy"]} == {None}
