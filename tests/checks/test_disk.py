"""Checks of the place where a run writes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfray.checks import Finding, Subject
from dfray.checks.suite import CHECKS
from dfray.datasets.manifest import Manifest
from dfray.run_context import RunContext
from tests.helpers.rows import video_row, videos_table
from tests.helpers.toy import toy_recipe

NAMED = {check.name: check for check in CHECKS}


def found(work_dir: Path, name: str) -> list[Finding]:
    manifest = Manifest(videos_table([video_row(duration_s=1000.0)]))
    run = RunContext.of(toy_recipe(work_dir))
    return list(NAMED[name].findings(Subject(run, lambda _: manifest)))


def test_a_folder_that_is_still_to_be_made_is_no_finding(tmp_path: Path) -> None:
    assert found(tmp_path / "a" / "b", "work_dir") == []
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_folder_and_a_file_in_the_way_are_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (finding,) = found(tmp_path / "file" / "runs", "work_dir")
    assert f"{tmp_path}/file is a file" in finding.message
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    (finding,) = found(tmp_path / "runs", "work_dir")
    assert f"{tmp_path} is read-only for you" in finding.message


def test_less_room_than_the_faces_take_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(tmp_path, "disk") == []
    monkeypatch.setattr("dfray.storage.free_bytes", lambda _: 2_000_000)
    (finding,) = found(tmp_path, "disk")
    assert finding.severity == "warn"
    assert "The faces of 1 videos take about" in finding.message
