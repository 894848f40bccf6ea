"""State and figures of a row, read from what its run has stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dfray import stages
from dfray.evaluation.metrics import Metrics
from dfray.evaluation.protocol import Protocol
from dfray.reproduction.paper import Paper, PaperFile
from dfray.reproduction.result import result_of
from dfray.reproduction.rows import PaperRow
from dfray.reproduction.state import measured_videos, shared_faces, state_of
from dfray.run_context import RunContext
from tests.helpers.evaluated import untrained_run
from tests.helpers.toy import toy_recipe

pytestmark = pytest.mark.ray
EPOCH = {"epoch": 0.0, "seconds": 60.0, "workers": 2.0, "gpus": 0.0}
COLUMNS = [{"name": "Toy", "dataset": "toy"}, {"name": "Gone", "dataset": "gone"}]
PROTOCOL = Protocol.model_validate(
    {
        "name": "toys",
        "title": "Toys",
        "source": "here",
        "scenarios": [{"name": "all", "columns": COLUMNS}],
    }
)
PAPER = Paper(
    PaperFile(name="toys", title="Toys", protocol="toys", rows={"toy": None}), PROTOCOL, "toys"
)


@pytest.fixture(scope="module")
def evaluated(
    tmp_path_factory: pytest.TempPathFactory, scored_in_process: None
) -> tuple[PaperRow, Metrics]:
    """A row whose run is evaluated, of a training of one epoch."""
    recipe = untrained_run(tmp_path_factory.mktemp("runs"))
    run = RunContext.of(recipe)
    run.folder.update_state(replace(run.folder.state(), history=[EPOCH]))
    return PaperRow(recipe), stages.evaluate(run)


def test_a_row_that_was_never_begun_is_due(tmp_path: Path) -> None:
    row = PaperRow(toy_recipe(tmp_path))
    state = state_of(row, RunContext.of(row.recipe))
    assert [stage.state for stage in state.stages] == ["due"] * 3
    assert not state.is_measured


def test_figures_of_an_evaluated_row_are_those_of_its_evaluation(
    evaluated: tuple[PaperRow, Metrics],
) -> None:
    row, metrics = evaluated
    state = state_of(row, RunContext.of(row.recipe))
    assert [stage.state for stage in state.stages] == ["done"] * 3
    result = result_of(PAPER, [state], [], None, "dfray reproduce toys")
    (of_row,) = result.rows
    toy, gone = of_row.cells["auc"]
    assert metrics.mean is not None
    assert metrics.mean.auc is not None
    auc = metrics.mean.auc
    assert (toy.value, toy.low, toy.high) == pytest.approx(
        (100 * auc.value, 100 * auc.low, 100 * auc.high)
    )
    assert gone.value is None
    assert of_row.n_scored == measured_videos(state.run).num_rows
    assert result.spent.worker_s == 120
    assert result.spent.extract_cpu_s == pytest.approx(48 * 0.1)


def test_another_evaluation_makes_the_figures_due(evaluated: tuple[PaperRow, Metrics]) -> None:
    row, _ = evaluated
    section = row.recipe.evaluation.model_copy(update={"calibrate": False})
    changed = PaperRow(row.recipe.model_copy(update={"evaluation": section}))
    state = state_of(changed, RunContext.of(changed.recipe))
    assert (state.stage("train").state, state.stage("evaluate").state) == ("done", "due")


def test_rows_share_a_store_unless_their_faces_differ(tmp_path: Path) -> None:
    rows = [
        PaperRow(toy_recipe(tmp_path, "one")),
        PaperRow(toy_recipe(tmp_path, "two", "training.lr=0.1")),
        PaperRow(toy_recipe(tmp_path, "three", "faces.margin_ratio=1.5")),
    ]
    first, second = shared_faces(rows)
    assert (first.rows, first.differences) == (("one", "two"), ())
    assert second.differences == ("faces.margin_ratio 1.3 -> 1.5",)
