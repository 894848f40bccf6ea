"""The list of checks: all problems at once, before anything is spent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dfray import stages
from dfray.checks import CHECKS, Finding, Subject, find_problems, report, require_sound
from dfray.errors import CheckError
from dfray.run_context import RunContext
from tests.helpers.toy import toy_recipe


def test_the_names_of_checks_are_distinct() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    recipe = toy_recipe(
        tmp_path,
        "toy",
        "registry.model_name=a/b",
        "model.backbone=test_vitt",
        "training.use_gpu=true",
    )
    subject = Subject(RunContext.of(recipe))
    problems = {finding.check: finding for finding in find_problems(subject, "run")}
    assert {"model name", "corpora", "network"} <= problems.keys()
    with pytest.raises(CheckError) as refused:
        require_sound(subject, "run")
    first, *lines = str(refused.value).splitlines()
    assert first == f"{len(lines)} problems:"
    assert any(
        re.match(r"  - corpora: corpora.0.root: there is no .*videos.csv\. Name", x) for x in lines
    )


@pytest.mark.parametrize(
    "stage", [stages.extract, stages.train, stages.search, stages.run_pipeline]
)
def test_a_refused_stage_writes_nothing(stage, tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"there is no .*videos.csv"):
        stage(RunContext.of(toy_recipe(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_one_refusal_is_one_line_and_a_warning_refuses_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    warning = Finding("It is large.", "Load weights.", "warn", "network")
    report([warning])
    assert capsys.readouterr().err == "warning: It is large. Load weights.\n"
    with pytest.raises(CheckError, match=r"^There is no root. Name one.$"):
        report([warning, Finding("There is no root.", "Name one.", check="corpora")])
