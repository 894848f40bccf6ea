"""Checks of gates that no model can pass, of the registered name and of the tracking server."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfray.checks import Subject
from dfray.checks.suite import CHECKS
from dfray.datasets.manifest import Manifest
from dfray.run_context import RunContext
from dfray.tracking.client import connect
from tests.helpers.rows import fake_row, video_row, videos_table
from tests.helpers.toy import toy_recipe

NAMED = {check.name: check for check in CHECKS}
FIVE = [
    make(f"{number}", split="test", uri=f"/{number}") for number, make in enumerate(4 * [video_row])
]
FIVE.append(fake_row("4", split="test", uri="/4"))


def found(folder: Path, name: str, *overrides: str, rows=FIVE, unreadable=()) -> list[str]:
    manifest = Manifest(videos_table(rows), [], dict.fromkeys(unreadable, "empty file"))
    subject = Subject(RunContext.of(toy_recipe(folder, "toy", *overrides)), lambda _: manifest)
    return [str(finding) for finding in NAMED[name].findings(subject)]


LOW = "registry.gates.min_videos=5"


def test_gates_that_the_split_can_meet_are_no_finding(tmp_path: Path) -> None:
    assert found(tmp_path, "gates", LOW) == []


def test_more_videos_than_the_split_has_are_a_finding(tmp_path: Path) -> None:
    (sentence,) = found(tmp_path, "gates", "registry.gates.min_videos=6")
    assert sentence.startswith(
        "registry.gates.min_videos: 6 are required, and split test has 5. Add videos"
    )


def test_a_split_of_one_class_cannot_have_an_auc(tmp_path: Path) -> None:
    (sentence,) = found(tmp_path, "gates", "registry.gates.min_videos=4", rows=FIVE[:4])
    assert "registry.gates.min_auc: split test has no fake video" in sentence


@pytest.mark.parametrize(("required", "count"), [(0.8, 0), (0.81, 1)])
def test_files_that_cannot_be_opened_count_against_the_coverage(
    tmp_path: Path, required: float, count: int
) -> None:
    gate = f"registry.gates.min_coverage={required}"
    sentences = found(tmp_path, "gates", LOW, gate, unreadable=["toy/camera/0"])
    assert len(sentences) == count
    assert all("1 of 5 videos cannot be opened" in sentence for sentence in sentences)


def test_a_drop_that_nothing_measures_is_a_finding(tmp_path: Path) -> None:
    (drop,) = found(tmp_path, "gates", LOW, "registry.gates.max_post_processing_drop=0.1")
    assert "evaluation.post_processing names no kind" in drop


def test_unknown_protocols_are_findings(tmp_path: Path) -> None:
    named = ["registry.gates.protocols=[papr]", "evaluation.protocol=papper"]
    compared, deciding = found(tmp_path, "protocols", *named)
    assert "registry.gates.protocols: No protocol is called 'papr'" in compared
    assert "evaluation.protocol: No protocol is called 'papper'" in deciding


def test_datasets_of_one_class_each_have_no_mean_to_go_by(tmp_path: Path) -> None:
    """Their pooled AUC would be that of telling the datasets apart."""
    rows = [*FIVE[:4], fake_row("4", split="test", dataset="fakes")]
    (sentence,) = found(tmp_path, "gates", LOW, rows=rows)
    assert "no dataset of split test has real and fake videos" in sentence
    assert "same corpora.N.dataset" in sentence


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", ".", "..", "faces-1", "a b", "ä.b"])
def test_a_name_is_refused_exactly_if_mlflow_refuses_it(
    tmp_path: Path, tracking_uri: str, name: str
) -> None:
    from mlflow.exceptions import MlflowException

    try:
        connect(tracking_uri).create_registered_model(name)
        refused = False
    except MlflowException:
        refused = True
    assert bool(found(tmp_path, "model name", f"registry.model_name={name!r}")) == refused


def test_a_server_that_is_away_and_a_uri_of_another_kind_are_findings(tmp_path: Path) -> None:
    for uri, message in {
        "http://127.0.0.1:1": "No MLflow server answers at http://127.0.0.1:1",
        "runs": "registry.tracking_uri (or MLFLOW_TRACKING_URI) is 'runs'",
    }.items():
        (sentence,) = found(tmp_path, "tracking", f"registry.tracking_uri={uri}")
        assert message in sentence


def test_a_database_that_is_to_be_made_is_not_made_by_the_check(tmp_path: Path) -> None:
    assert found(tmp_path, "tracking") == []
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    (sentence,) = found(
        tmp_path, "tracking", f"registry.tracking_uri=sqlite:///{tmp_path}/file/a.db"
    )
    assert "is a file" in sentence
