"""Result of a reproduction: all that its page, CSV and Markdown tell."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass

from dfray.datasets.published import Comparison
from dfray.errors import DfrayError
from dfray.planning.nodes import Nodes
from dfray.reproduction.figures import Cells, compare_figures
from dfray.reproduction.paper import Paper
from dfray.reproduction.spent import Spent, extraction_of, spent_on
from dfray.reproduction.state import RowState, measured_videos
from dfray.tracking.provenance import code_version

PACKAGES = ("ray", "torch", "torchvision", "timm", "mlflow", "av", "mediapipe", "pyarrow")
"""Packages whose versions a page states."""


@dataclass(frozen=True)
class RowResult:
    """One row's figures and what they took.

    Attributes:
        cells: of the published row alone, if the row is not measured.
        n_scored, n_unscored: test videos with and without a score.
    """

    state: RowState
    cells: Cells
    spent: Spent
    n_scored: int = 0
    n_unscored: int = 0
    problem: str | None = None

    @property
    def name(self) -> str:
        """Name of the recipe."""
        return self.state.row.name

    @property
    def published_name(self) -> str:
        """Name of the published row, or else of the recipe."""
        return self.state.row.published.name if self.state.row.published else self.name

    @property
    def outcome(self) -> str:
        """State in a few words."""
        if self.state.is_measured:
            return "measured"
        due = [stage.stage for stage in self.state.stages if stage.state == "due"]
        return f"due: {', '.join(due)}"


@dataclass(frozen=True)
class Reproduction:
    """Result of a paper.

    Attributes:
        comparisons: videos found against published ones, of what was asked for.
        nodes: whose prices count; None: no price is stated.
        command: which made this page, and goes on with what is due.
    """

    paper: Paper
    rows: Sequence[RowResult]
    comparisons: Sequence[Comparison]
    extraction: Spent
    nodes: Nodes | None
    command: str

    @property
    def spent(self) -> Spent:
        """Time of all rows together."""
        return sum((row.spent for row in self.rows), self.extraction)

    @property
    def missing(self) -> list[str]:
        """Sentences on corpora, videos and rows that are missing."""
        lines = {f"Row {r.name}: {r.problem}": None for r in self.rows if r.problem}
        absent = {
            name: None for r in self.rows for name in r.state.row.absent if not r.state.row.lacking
        }
        lines |= {
            f"Corpus {name} is not held or not asked for: its columns are empty.": None
            for name in absent
        }
        for found in self.comparisons:
            if found.videos < found.published:
                count = f"{found.videos:,} of {found.published:,} published videos"
                lines[f"Corpus {found.dataset}, {found.subset}: {count} ({found.source})."] = None
        lines |= dict.fromkeys(self._notes())
        return list(lines)

    def _notes(self) -> list[str]:
        """Return what the figures of each column lack, once for each row that lacks the same."""
        return [
            f"Column {scenario} / {column}: {cell.note}."
            for row in self.rows
            if row.state.is_measured
            for (scenario, column), cell in zip(
                self.paper.protocol.headings, row.cells["auc"], strict=True
            )
            if cell.note
        ]


def result_of(
    paper: Paper,
    states: Sequence[RowState],
    comparisons: Sequence[Comparison],
    nodes: Nodes | None,
    command: str,
) -> Reproduction:
    """Return the result by the states of the rows' runs, read from what they stored."""
    rows = [_row(paper, state) for state in states]
    return Reproduction(paper, rows, comparisons, extraction_of(states), nodes, command)


def _row(paper: Paper, state: RowState) -> RowResult:
    published, videos, problem = state.row.published, None, state.problem
    try:
        videos = measured_videos(state.run) if state.is_measured else None
    except DfrayError as error:
        problem = f"its evaluation cannot be read: {error}"
    confidence = state.row.recipe.evaluation.confidence
    cells = compare_figures(paper.protocol, published, videos, confidence)
    scored = 0 if videos is None else videos.num_rows - videos["fake_probability"].null_count
    unscored = 0 if videos is None else videos.num_rows - scored
    return RowResult(state, cells, spent_on(state), scored, unscored, problem)


def versions() -> dict[str, str]:
    """Return name -> version of dfray, its commit, Python and the packages that shape the figures."""
    code = code_version()
    lines = {"dfray": code["dfray.version"], "python": platform.python_version()}
    if commit := code.get("mlflow.source.git.commit"):
        changes = " with changes" if code.get("dfray.git_dirty") == "true" else ""
        lines["commit"] = f"{commit}{changes}"
    return lines | {name: importlib.metadata.version(name) for name in PACKAGES}
