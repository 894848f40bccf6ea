"""Plan and result of a reproduction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dfray.render.intervals import as_time
from dfray.render.tables import console, new_table, print_lines

if TYPE_CHECKING:
    from dfray.datasets.published import Comparison
    from dfray.reproduction.estimate import RowEstimate
    from dfray.reproduction.state import RowState, SharedFaces
    from dfray.stages import ReproductionPlan, ReproductionResult


def show_reproduction_plan(plan: ReproductionPlan) -> None:
    """Print the state of each row, the stores of faces, the counts, and the estimate of what is due."""
    _show_states([state for state in plan.states if state.row.is_asked])
    console.rule("faces", align="left")
    for number, store in enumerate(plan.stores):
        console.print(_store_line(number, store), highlight=False)
    if not plan.stores:
        console.print("No row can be trained, so no face is extracted.", highlight=False)
    console.rule("videos held against published counts", align="left")
    _show_counts(plan.comparisons)
    console.rule("what is due takes", align="left")
    _show_estimates(plan)


def show_reproduction(result: ReproductionResult) -> None:
    """Print the state of the rows, those that failed, and where the page is."""
    _show_states([state for state in result.states if state.row.is_asked])
    print_lines([("page", result.page)])


def _show_states(states: Sequence[RowState]) -> None:
    table = new_table("row", *(stage.stage for stage in states[0].stages), "published row", "")
    for state in states:
        published = state.row.published
        blocked = state.problem is not None and not state.is_measured
        stages = [
            "impossible" if blocked and stage.state == "due" else stage.state
            for stage in state.stages
        ]
        table.add_row(state.row.name, *stages, published.name if published else "–", _remark(state))
    console.print(table)


def _remark(state: RowState) -> str:
    """Return why a row is impossible or failed, or which columns it leaves empty."""
    if state.problem is not None and not state.is_measured:
        return state.problem
    if state.row.absent:
        return f"without {', '.join(state.row.absent)}: columns stay empty"
    return ""


def _store_line(number: int, store: SharedFaces) -> str:
    rows = ", ".join(store.rows)
    if number == 0:
        return f"extracted once for {rows} (store {store.key})"
    changes = "; ".join(store.differences)
    return f"another extraction for {rows} (store {store.key}): {changes}"


def _show_counts(comparisons: Sequence[Comparison]) -> None:
    if not comparisons:
        console.print("No corpus that is held has published counts.", highlight=False)
        return
    numbers = ("held", "published", "share")
    table = new_table("dataset", "videos", *numbers, "published in", right=numbers)
    for row in comparisons:
        counts = f"{row.videos:,}", f"{row.published:,}", f"{row.share:.0%}"
        table.add_row(row.dataset, row.subset, *counts, row.source)
    console.print(table)


def _show_estimates(plan: ReproductionPlan) -> None:
    for name, reason in plan.not_estimated.items():
        console.print(f"{name} is not estimated: {reason}", highlight=False)
    if plan.estimates:
        _show_estimate_table(plan.estimates)
    elif not plan.not_estimated:
        console.print(
            "Not estimated: name the nodes with --nodes, such as 8x16cpu@0.68,1x96cpu+8h100@55, while "
            "something is due.",
            highlight=False,
        )


def _show_estimate_table(estimates: Sequence[RowEstimate]) -> None:
    numbers = ("extraction", "CPU time", "training", "storage, GiB", "money")
    table = new_table("row", *numbers, right=numbers)
    for row in estimates:
        table.add_row(
            row.name,
            as_time(row.extract_s),
            as_time(row.due.extract_cpu_s),
            as_time(row.due.train_s),
            f"{row.stored_bytes / 2**30:,.2f}",
            _price(row.price),
        )
    table.add_row(
        "in all",
        as_time(sum(row.extract_s for row in estimates)),
        as_time(sum(row.due.extract_cpu_s for row in estimates)),
        as_time(sum(row.due.train_s for row in estimates)),
        f"{sum(row.stored_bytes for row in estimates) / 2**30:,.2f}",
        _price(_sum([row.price for row in estimates])),
    )
    console.print(table)
    console.print(
        "As `dfray plan` estimates them; rows one after the other; money, if nodes cost only while they "
        "work; evaluation is not counted.",
        highlight=False,
    )


def _sum(prices: Sequence[float | None]) -> float | None:
    known = [price for price in prices if price is not None]
    return sum(known) if len(known) == len(prices) else None


def _price(price: float | None) -> str:
    return "no price" if price is None else f"{price:,.2f}"
