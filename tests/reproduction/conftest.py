"""A result of two rows that are measured and one that is not, made of scores without any training."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dfray.datasets.published import Comparison
from dfray.evaluation.aggregate import VIDEO_SCORES
from dfray.planning.nodes import parse_nodes
from dfray.reproduction.figures import compare_figures
from dfray.reproduction.paper import load_paper
from dfray.reproduction.result import Reproduction, RowResult
from dfray.reproduction.rows import Selection, select_rows
from dfray.reproduction.spent import Spent
from dfray.reproduction.state import STAGES, RowState
from dfray.run_context import RunContext
from dfray.run_status import StageStatus
from tests.evaluation.test_protocol import corpus
from tests.helpers.papers import write_paper

MakeResult = Callable[..., Reproduction]


@pytest.fixture
def make_result(tmp_path: Path) -> MakeResult:
    """make_result(nodes, edit): the result of the paper that `edit` makes of the twins' text."""

    def make(
        nodes: str | None = "1x2cpu@3", edit: Callable[[str], str] = lambda text: text
    ) -> Reproduction:
        file = write_paper(tmp_path)
        for path in (file, tmp_path / "protocol.yaml"):
            path.write_text(edit(path.read_text()))
        here = Path.cwd()
        os.chdir(tmp_path)
        try:
            paper = load_paper(str(file))
            rows = select_rows(paper, Selection())
        finally:
            os.chdir(here)
        results = []
        for place, row in enumerate(rows):
            state = "due" if row.lacking else "done"
            stages = tuple(StageStatus(name, state) for name in STAGES)
            found = RowState(row, RunContext.of(row.recipe), stages, row.why_impossible)
            videos = VIDEO_SCORES.from_rows(corpus("demo", {"swap": "FS"}, 9, seed=place))
            scored = None if row.lacking else videos
            cells = compare_figures(paper.protocol, row.published, scored, 0.95)
            spent = Spent() if row.lacking else Spent(3600.0, 7200.0, 7200.0)
            results.append(RowResult(found, cells, spent, 0, 0, found.problem))
        counts = [Comparison("demo", "test", 9, 10, "made for this test")]
        priced = None if nodes is None else parse_nodes(nodes)
        command = "dfray reproduce paper.yaml"
        return Reproduction(paper, results, counts, Spent(extract_cpu_s=900.0), priced, command)

    return make
