"""Checks of the place where a run writes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfray import storage
from dfray.checks import Finding, Subject
from dfray.checks.suite import CHECKS
from dfray.datasets.manifest import Manifest
from dfray.run_context import RunContext
from tests.helpers.proxy import Fault, FaultProxy
from tests.helpers.rows import video_row, videos_table
from tests.helpers.toy import toy_recipe

NAMED = {check.name: check for check in CHECKS}


def found(work_dir: Path | str, name: str) -> list[Finding]:
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


def test_a_read_only_bucket_is_a_finding_and_the_probe_leaves_nothing(
    bucket: str, s3_faults: FaultProxy
) -> None:
    assert found(f"{bucket}/runs", "work_dir") == []
    assert [request.method for request in s3_faults.requests].count("PUT") == 1
    assert list(storage.walk_files(bucket)) == []
    denied = Fault(403, "AccessDenied")
    s3_faults.fault = lambda request: denied if request.method == "PUT" else None
    (finding,) = found(f"{bucket}/runs", "work_dir")
    assert f"{bucket}/runs/toy cannot be written: " in finding.message


def test_a_store_that_ignores_conditions_is_left_as_it_was(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dfray.storage import exclusive_file

    put = exclusive_file._Object._put
    monkeypatch.setattr(exclusive_file._Object, "_put", lambda self, data, **_: put(self, data))
    assert found(f"{bucket}/runs", "work_dir") == []
    assert list(storage.walk_files(bucket)) == []


def test_a_missing_bucket_is_a_finding(s3_endpoint: str) -> None:
    (finding,) = found("s3://no-such-bucket-dfray/runs", "work_dir")
    assert "Check that the bucket" in str(finding)
