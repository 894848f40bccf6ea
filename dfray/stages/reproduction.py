"""Reproduction of a paper's table: its rows one after the other, by the stages of their runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from dfray import storage
from dfray.checks import Subject, find_problems
from dfray.command_log import logged
from dfray.config import Recipe
from dfray.datasets.published import Comparison
from dfray.dependencies import of_faces
from dfray.errors import DfrayError, UserError, first_line, root_error
from dfray.notes import note, warn
from dfray.run_context import RunContext
from dfray.run_manifest import check_manifest
from dfray.stages.cluster_plan import measure_faces, plan_cluster
from dfray.stages.evaluation import evaluate
from dfray.stages.pipeline import extract, train

if TYPE_CHECKING:
    from dfray.planning.measure import ExtractionCost
    from dfray.planning.plan import ClusterPlan
    from dfray.reproduction.estimate import RowEstimate
    from dfray.reproduction.paper import Paper
    from dfray.reproduction.rows import Selection
    from dfray.reproduction.state import RowState, SharedFaces


@dataclass(frozen=True)
class ReproductionPlan:
    """State of a paper's rows before anything is done.

    Attributes:
        states: of all rows.
        stores: stores of faces of the rows that can be trained, each one extraction.
        comparisons: videos found of each corpus against the published ones.
        estimates: of what is due; empty: no nodes were named.
        not_estimated: name of a row -> why there is no estimate of what is due of it.
    """

    states: list[RowState]
    stores: list[SharedFaces]
    comparisons: list[Comparison]
    estimates: list[RowEstimate]
    not_estimated: dict[str, str]


@dataclass(frozen=True)
class ReproductionResult:
    """What a reproduction has left.

    Attributes:
        states: of all rows.
        page: URI of the page.
    """

    states: list[RowState]
    page: str

    @property
    def failed(self) -> list[RowState]:
        """Rows that were tried, and are not measured; not those left out for want of a corpus."""
        tried = [state for state in self.states if state.row.is_asked and not state.row.lacking]
        return [state for state in tried if not state.is_measured]


def plan_reproduction(
    paper: Paper, selection: Selection, *, nodes: str | None = None
) -> ReproductionPlan:
    """Look at the corpora, and return what is done, due or impossible; nothing is written.

    Args:
        nodes: for the estimate, as of `plan_cluster`; it measures on the held videos for some minutes.

    Raises:
        UserError: as `select_rows`, or `nodes` cannot be read.
    """
    from dfray.planning.nodes import parse_nodes

    if nodes is not None:
        parse_nodes(nodes)  # before a minute is spent
    states, comparisons = _look(paper, selection, check=True)
    possible = [s for s in states if s.row.is_asked and s.problem is None]
    estimates: list[RowEstimate] = []
    not_estimated: dict[str, str] = {}
    if nodes is not None:
        estimates, not_estimated = _estimates([s for s in possible if s.is_due], nodes)
    return ReproductionPlan(states, _stores(possible), comparisons, estimates, not_estimated)


def reproduce(
    paper: Paper,
    selection: Selection,
    *,
    command: str,
    nodes: str | None = None,
    out: str | None = None,
) -> ReproductionResult:
    """Extract, train and evaluate the rows that are asked for, and write the page of all rows.

    A row that fails is told of, and the others go on. Every row goes on where it was left.

    Args:
        command: with which the page says how to go on.
        nodes: whose prices the page states, as of `plan_cluster`.
        out: folder of the page; default: <work_dir>/reproduce/<paper>.

    Raises:
        UserError: as `select_rows`, `nodes` cannot be read, or no row can be trained and none is measured.
    """
    from dfray.planning.nodes import parse_nodes
    from dfray.reproduction.page import write_page
    from dfray.reproduction.result import result_of
    from dfray.reproduction.state import state_of

    priced = parse_nodes(nodes) if nodes is not None else None
    states, comparisons = _look(paper, selection, check=False)
    _require_some_row(paper, states)
    folder = out or storage.join(states[0].run.runs.work_dir, "reproduce", paper.name)
    for place, state in enumerate(states):
        if not state.row.is_asked or state.problem is not None:
            continue
        problem = _run_row(state, paper.name)
        fresh = RunContext.of(state.row.recipe)
        states[place] = state_of(state.row, fresh, problem)
        write_page(folder, result_of(paper, states, comparisons, priced, command))
    page = write_page(folder, result_of(paper, states, comparisons, priced, command))
    return ReproductionResult(states, page)


def _look(
    paper: Paper, selection: Selection, *, check: bool
) -> tuple[list[RowState], list[Comparison]]:
    """Return the state of each row after a look at the corpora of those asked for, and what they hold.

    Args:
        check: also find what the training would refuse.
    """
    from dfray.reproduction.rows import select_rows
    from dfray.reproduction.state import state_of

    states: list[RowState] = []
    comparisons: dict[tuple[str, str], Comparison] = {}
    for row in select_rows(paper, selection):
        run = RunContext.of(row.recipe)
        if not row.is_asked or row.lacking:
            states.append(state_of(row, run, row.why_impossible if row.is_asked else None))
            continue
        subject = Subject(run, partial(check_manifest, opened=0))
        problem = _problem(subject, check=check)
        if subject.videos is not None:
            run.look_at(subject.videos)
            for found in subject.manifest.comparisons():
                comparisons.setdefault((found.dataset, found.subset), found)
        states.append(state_of(row, run, problem))
    return states, list(comparisons.values())


def _problem(subject: Subject, *, check: bool) -> str | None:
    """Return why a row's training would be refused, or its corpora cannot be read."""
    if check:
        refused = [str(f) for f in find_problems(subject, "train") if f.severity == "refuse"]
        return " ".join(refused) or None
    try:
        _ = subject.manifest
    except DfrayError as error:
        return str(error)
    return None


def _run_row(state: RowState, paper: str) -> str | None:
    """Do what is due of a row, with a log of its own; return what it failed by, or None."""
    row, run = state.row, RunContext.of(state.row.recipe)
    note(f"· {paper}: {row.name}")
    try:
        with logged(["reproduce", paper, "--rows", row.name]):
            train(run)
            extract(run)
            evaluate(run)
    except Exception as error:
        cause = root_error(error)
        message = str(cause) if isinstance(cause, DfrayError) else first_line(cause)
        logs = [line for line in getattr(error, "__notes__", []) if line.startswith("log: ")]
        message += f" ({logs[0]})" if logs else ""
        warn(f"dfray: row {row.name} failed: {message} The other rows go on.")
        return message
    return None


def _require_some_row(paper: Paper, states: Sequence[RowState]) -> None:
    """Check that a row can be trained, or is measured.

    Raises:
        UserError: neither; the message has each row's reason.
    """
    asked = [state for state in states if state.row.is_asked]
    if any(state.problem is None for state in asked) or any(s.is_measured for s in states):
        return
    reasons = "".join(f"\n  - {state.row.name}: {state.problem}" for state in asked)
    raise UserError(
        f"No row of {paper.name} that is asked for can be trained:{reasons}",
        f"`dfray reproduce {paper.source} --print-roots` writes a template for --roots.",
    )


def _stores(states: Sequence[RowState]) -> list[SharedFaces]:
    from dfray.reproduction.state import shared_faces

    return shared_faces(state.row for state in states)


def _estimates(states: Sequence[RowState], nodes: str) -> tuple[list[RowEstimate], dict[str, str]]:
    """Return the estimates of rows, and why others have none; a store's extraction is measured once."""
    from dfray.reproduction.estimate import estimate_rows

    measured: dict[str, ExtractionCost] = {}

    def measure(videos: pa.Table, recipe: Recipe, sample: int, seconds: float) -> ExtractionCost:
        key = of_faces(recipe).key
        if key not in measured:
            measured[key] = measure_faces(videos, recipe, sample, seconds)
        return measured[key]

    plans: list[tuple[RowState, ClusterPlan]] = []
    not_estimated: dict[str, str] = {}
    for state in states:
        try:
            plans.append((state, plan_cluster(state.run, nodes, measure=measure)))
        except DfrayError as error:
            not_estimated[state.row.name] = str(error)
    return estimate_rows(plans), not_estimated
