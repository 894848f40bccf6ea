"""A paper's rows, from corpora to the page: killed, resumed, without a corpus, row by row."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import pytest

from dfray import stages
from dfray.errors import UserError
from dfray.reproduction.paper import Paper, load_paper
from dfray.reproduction.rows import Selection
from tests.helpers.commands import DFRAY, dfray_process, plain_environment
from tests.helpers.corpus import write_corpus
from tests.helpers.papers import write_paper
from tests.helpers.processes import wait_for
from tests.helpers.runs import latest_run, mlflow_status

PAGE = Path("runs/reproduce/twins")


def figures(folder: Path, row: str, column: str) -> dict[str, str]:
    """Return the line of one AUC in the CSV of the page."""
    with (folder / PAGE / "twins.csv").open() as file:
        lines = [
            line
            for line in csv.DictReader(file)
            if (line["row"], line["column"], line["metric"]) == (row, column, "auc")
        ]
    (line,) = lines
    return line


def kill_a_training(folder: Path) -> None:
    """Start with the first row alone, and kill the command once it has trained some epochs."""
    with (folder / "killed.log").open("w") as log:
        words = [DFRAY, "reproduce", "paper.yaml", "--rows", "first"]
        command = subprocess.Popen(
            words, cwd=folder, stdout=log, stderr=log, env=plain_environment()
        )

        def has_trained() -> bool:
            assert command.poll() is None, (folder / "killed.log").read_text()
            return any(folder.glob("runs/first/*/train/epoch-0[1-3]*"))

        try:
            wait_for(has_trained, 1800)
        finally:
            command.kill()
            command.wait()


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_paper_is_reproduced_whole_through_a_kill_a_missing_corpus_and_a_subset_of_rows(
    tmp_path: Path,
) -> None:
    write_paper(tmp_path, epochs=30)
    words = ("reproduce", "paper.yaml", "--nodes", "1x2cpu@3")
    kill_a_training(tmp_path)

    done = dfray_process(tmp_path, *words, timeout_s=2400)
    assert done.code == 0, done.err
    assert "training resumes after epoch " in done.err
    assert "It trains on learned, not held or not asked for." in done.out
    assert mlflow_status(tmp_path / "runs", "first") == "FINISHED"
    assert not (tmp_path / "runs/third").exists()
    assert len(list((tmp_path / "runs/faces").iterdir())) == 1
    demo = figures(tmp_path, "first", "Demo")
    assert float(demo["low"]) <= float(demo["percent"]) <= float(demo["high"])
    assert float(demo["difference"]) == pytest.approx(float(demo["percent"]) - 70, abs=0.011)
    assert figures(tmp_path, "first", "Extra")["percent"] == ""
    page = (tmp_path / PAGE / "twins.html").read_text()
    assert "Corpus extra is not held or not asked for: its columns are empty." in page
    runs = {name: latest_run(tmp_path / "runs", name) for name in ("first", "second")}
    trained = {name: (run / "model/model.safetensors").stat() for name, run in runs.items()}

    write_corpus(tmp_path / "corpora/extra", 4, seconds=2, splits=("test",))
    (tmp_path / "roots.yaml").write_text("extra: corpora/extra\n")
    done = dfray_process(tmp_path, *words, "--roots", "roots.yaml", timeout_s=2400)
    assert done.code == 0, done.err
    assert float(figures(tmp_path, "second", "Extra")["percent"]) >= 0
    assert figures(tmp_path, "second", "Avg")["note"] == ""
    for name, run in runs.items():
        assert latest_run(tmp_path / "runs", name) == run
        assert (run / "model/model.safetensors").stat().st_mtime_ns == trained[name].st_mtime_ns

    again = dfray_process(tmp_path, *words, "--roots", "roots.yaml", timeout_s=600)
    assert again.code == 0, again.err
    assert "Ray" not in again.err


@pytest.fixture
def refused(tmp_path: Path) -> Path:
    """A folder with a paper whose first row names weights that are not there, and whose second none."""
    write_paper(tmp_path)
    recipe = tmp_path / "first.yaml"
    recipe.write_text(recipe.read_text().replace("model: {", "model: {weights: nowhere.pth, "))
    recipe = tmp_path / "second.yaml"
    recipe.write_text(recipe.read_text().replace("batch_size: 8", "batch_size: 8000"))
    return tmp_path


def selected(folder: Path, monkeypatch: pytest.MonkeyPatch, *rows: str) -> tuple[Paper, Selection]:
    monkeypatch.chdir(folder)
    return load_paper("paper.yaml"), Selection(rows=rows)


def test_a_plan_says_what_is_done_due_and_impossible_and_writes_nothing(
    refused: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(refused.iterdir())
    plan = stages.plan_reproduction(*selected(refused, monkeypatch))
    problems = {state.row.name: state.problem for state in plan.states}
    assert "model.weights: there is no nowhere.pth." in str(problems["first"])
    assert "less than a batch of 8000" in str(problems["second"])
    assert problems["third"] == "It trains on learned, not held or not asked for."
    assert {stage.state for state in plan.states for stage in state.stages} == {"due"}
    assert sorted(refused.iterdir()) == before


def test_rows_with_equal_faces_are_extracted_once_and_another_store_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_paper(tmp_path)
    recipe = tmp_path / "second.yaml"
    recipe.write_text(f"{recipe.read_text()}faces: {{size_px: 96}}\n")
    plan = stages.plan_reproduction(*selected(tmp_path, monkeypatch))
    assert [store.rows for store in plan.stores] == [("first",), ("second",)]
    assert plan.stores[1].differences == ("faces.size_px 128 -> 96",)
    recipe.write_text(recipe.read_text().replace("size_px: 96", "size_px: 128"))
    plan = stages.plan_reproduction(*selected(tmp_path, monkeypatch))
    assert [store.rows for store in plan.stores] == [("first", "second")]


def test_a_row_that_fails_is_told_and_the_others_are_tried(
    refused: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = stages.reproduce(*selected(refused, monkeypatch), command="dfray reproduce paper.yaml")
    assert [state.row.name for state in result.failed] == ["first", "second"]
    err = capsys.readouterr().err
    assert "row first failed: " in err
    assert "row second failed: " in err
    page = Path(result.page).read_text()
    assert "there is no nowhere.pth" in page
    assert "less than a batch of 8000" in page


def test_without_a_row_that_can_be_trained_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_paper(tmp_path)
    with pytest.raises(UserError, match="third: It trains on learned, not held or not asked for"):
        stages.reproduce(*selected(tmp_path, monkeypatch, "third"), command="dfray")
    assert not (tmp_path / "runs").exists()


def test_nodes_are_refused_before_a_corpus_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_paper(tmp_path)
    paper, selection = selected(tmp_path, monkeypatch)
    with pytest.raises(UserError, match="cannot read '16cpus?'"):
        stages.plan_reproduction(paper, selection, nodes="16cpu")
    with pytest.raises(UserError, match="cannot read '16cpus?'"):
        stages.reproduce(paper, selection, command="dfray", nodes="16cpu")


def test_a_row_that_cannot_be_estimated_is_told_and_the_others_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_paper(tmp_path)
    recipe = tmp_path / "second.yaml"
    recipe.write_text(recipe.read_text().replace("num_workers: 1", "num_workers: 4"))
    plan = stages.plan_reproduction(*selected(tmp_path, monkeypatch), nodes="1x2cpu@3")
    assert plan.estimates == []
    assert list(plan.not_estimated) == ["first", "second"]
    assert "clips are not drawn yet" in plan.not_estimated["first"]
    assert "The training workers take 4 CPUs; there are 2" in plan.not_estimated["second"]
