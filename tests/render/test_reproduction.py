"""Estimate of what is due of a paper's rows, in sum, with those that have none."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.render.reproduction import show_reproduction_plan
from dfray.reproduction.estimate import RowEstimate
from dfray.reproduction.rows import PaperRow
from dfray.reproduction.spent import Spent
from dfray.reproduction.state import state_of
from dfray.run_context import RunContext
from dfray.stages import ReproductionPlan
from tests.helpers.toy import toy_recipe


@pytest.mark.parametrize(("price", "in_all"), [(2.5, "4.00"), (None, "no price")])
def test_estimates_are_summed_and_a_price_that_is_not_known_makes_the_sum_unknown(
    price: float | None, in_all: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = PaperRow(toy_recipe(tmp_path, "one"))
    estimates = [
        RowEstimate("one", Spent(train_s=3600, extract_cpu_s=7200), 1800, 2**30, 1.5),
        RowEstimate("two", Spent(train_s=3600), 0, 2**31, price),
    ]
    states = [state_of(row, RunContext.of(row.recipe))]
    show_reproduction_plan(ReproductionPlan(states, [], [], estimates, {"three": "it is too big"}))
    lines = capsys.readouterr().out.splitlines()
    (total,) = [line for line in lines if line.startswith("in all")]
    assert total.split("  ")[-1].strip() == in_all
    assert "3.00" in total
    assert "three is not estimated: it is too big" in lines
