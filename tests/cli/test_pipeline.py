"""`dfray run` whole, once: refused, promoted, started again, unchanged; what each prints where."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dfray import storage
from tests.helpers.commands import Command
from tests.helpers.refused_run import REFUSING, RefusedRun


@pytest.mark.ray
def test_a_run_prints_results_on_stdout_and_a_line_a_stage_on_stderr(
    refused_run: RefusedRun,
) -> None:
    """No word of Ray, torch or MLflow gets through."""
    run = refused_run.done
    stages = ("manifest", "extract", "evaluate", "register", "promote")  # "extract + train"
    # Ours, and meant; the last begins the lines of a stage that takes half a minute and more.
    said = ("The local Ray declares", "has BatchNorm", "parameters are trained", "· ")
    lines = [line for line in run.err.splitlines() if not any(word in line for word in said)]
    assert [line.split()[1] for line in lines] == list(stages)
    assert [line[0] for line in lines] == ["✓", "✓", "✓", "✓", "✗"]  # a refusal is no tick
    assert "score files" not in run.out  # nothing is there to score with
    assert "all videos" in run.out
    report = rf"report        {refused_run.work_dir}/small/[0-9a-f]{{12}}/evaluation/report.html\n"
    assert re.search(report, run.out)
    assert "✓" not in run.out


@pytest.mark.ray
def test_a_run_whose_detector_is_refused_says_why_with_exit_code_1(
    refused_run: RefusedRun,
) -> None:
    assert refused_run.done.code == 1
    assert "is not promoted, there is no champion:\n  - calibration error" in refused_run.done.out


@pytest.mark.ray
def test_the_history_as_json_holds_the_refusal_and_the_promotion(
    promoted_run: Path, dfray: Command
) -> None:
    history = json.loads(dfray(promoted_run, "registry", "history", "small.yaml", "--json").out)
    assert [decision["promoted"] for decision in history] == [False, True]


@pytest.mark.ray
def test_a_finished_run_started_again_ends_there_again(promoted_run: Path, dfray: Command) -> None:
    again = dfray(promoted_run, "run", "small.yaml", REFUSING)
    assert again.code == 0, again.err
    assert "version 1 is the champion" in again.out
    assert "one unseen clip, scored by the champion" in again.out
    (page,) = re.findall(r"score page +(\S+)", again.out)
    html = storage.read_bytes(page).decode()
    assert 'Known truth</div><div class="value words">fake (' in html
    assert "called fake" in html
    assert (
        len(json.loads(dfray(promoted_run, "registry", "history", "small.yaml", "--json").out)) == 2
    )


@pytest.mark.ray
def test_an_unchanged_run_says_so_and_starts_no_ray(
    promoted_run: Path, dfray: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    dfray(promoted_run, "run", "small.yaml", REFUSING)
    monkeypatch.setattr("dfray.run_context.session", lambda *_, **__: pytest.fail("Ray is started"))
    again = dfray(promoted_run, "run", "small.yaml", REFUSING)
    assert again.code == 0, again.err
    assert again.out.startswith(
        "Nothing has changed and nothing was done. Version 1 was promoted; its report: s3://"
    )
    stages = [line.split()[1] for line in again.err.splitlines()]
    assert stages == ["manifest", "extract", "train", "evaluate", "register", "promote"]


@pytest.mark.ray
def test_the_state_of_each_stage_names_the_keys_because_of_which_it_is_due(
    promoted_run: Path, dfray: Command
) -> None:
    longer = dfray(promoted_run, "status", "small.yaml", "training.epochs=3", COLUMNS="120")
    assert longer.code == 0, longer.err
    assert re.search(r"extract +done +12 videos", longer.out)
    assert re.search(r"train +due +training.epochs 2 -> 3", longer.out)
    renamed = dfray(
        promoted_run, "status", "small.yaml", "registry.model_name=other", COLUMNS="120"
    )
    assert re.search(r"train +done", renamed.out)
    assert re.search(
        r"register +due +registry.model_name \"deepfake-detector\" -> \"other\"", renamed.out
    )
    named = dfray(promoted_run, "status", "small.yaml", "name=another", COLUMNS="120")
    assert re.search(r"train +reused +from small/[0-9a-f]{12}", named.out)
