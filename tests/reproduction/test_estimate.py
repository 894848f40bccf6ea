"""What is due of rows, from their plans: extraction of a shared store once, training of each that is due."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.reproduction.estimate import estimate_rows
from dfray.reproduction.rows import PaperRow
from dfray.reproduction.state import STAGES, RowState
from dfray.run_context import RunContext
from dfray.run_status import StageStatus
from tests.helpers.rows import fake_row, video_row, videos_table
from tests.helpers.toy import toy_recipe
from tests.planning.test_plan import plan


def due(work_dir: Path, name: str, *overrides: str, trained: bool = False) -> RowState:
    """Return the state of a row none of whose two videos is extracted."""
    recipe = toy_recipe(work_dir, name, *overrides)
    run = RunContext.of(recipe)
    run.look_at(videos_table([video_row("a"), fake_row("b")]))
    states = {name: StageStatus(name, "due") for name in STAGES}
    if trained:
        states["train"] = StageStatus("train", "done")
    return RowState(PaperRow(recipe), run, tuple(states.values()))


NODES = "2x8cpu@1,1x8cpu+1h100@10"


def test_the_faces_that_rows_share_are_counted_for_the_first_alone(tmp_path: Path) -> None:
    cluster = plan(NODES)
    rows = [due(tmp_path, "one"), due(tmp_path, "two"), due(tmp_path, "three", "faces.size_px=64")]
    first, second, other = estimate_rows((row, cluster) for row in rows)
    assert first.due.extract_cpu_s == other.due.extract_cpu_s == cluster.extraction.cpu_s.value
    assert second.due.extract_cpu_s == second.extract_s == 0
    assert first.due.train_s == second.due.train_s == cluster.train_s
    faces = cluster.extraction.stored_bytes.value
    assert first.stored_bytes - second.stored_bytes == pytest.approx(faces)


def test_a_training_that_is_done_takes_nothing(tmp_path: Path) -> None:
    cluster = plan(NODES)
    (row,) = estimate_rows([(due(tmp_path, "one", trained=True), cluster)])
    assert row.due.train_s == row.due.gpu_s == 0
    assert row.stored_bytes == pytest.approx(cluster.extraction.stored_bytes.value)
    assert row.price == pytest.approx(cluster.extraction.cpu_s.value / 16 * 2 / 3600)
