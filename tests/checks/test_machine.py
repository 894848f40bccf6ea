"""Checks of the machine: each states what it saw, good or not."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from dfray.checks import Finding, machine
from dfray.checks.finding import named_findings
from dfray.checks.machine import MACHINE, machine_findings
from dfray.checks.versions import differs_from_lock, installed_version
from dfray.resources import Node

Usage = namedtuple("Usage", "total used free")


def found(name: str) -> Finding:
    (finding,) = named_findings(name, MACHINE[name])
    return finding


def test_every_check_states_something() -> None:
    assert {finding.check for finding in machine_findings()} == set(MACHINE)


def test_little_room_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, 2**26))  # as in a container
    assert found("shared memory").severity == "warn"
    assert "--shm-size" in found("shared memory").hint
    assert found("disk").message.startswith("Only 0.1 GiB free in ")
    assert found("temporary folder").message.startswith("Only 0.1 GiB free in ")


def test_a_temporary_folder_that_others_may_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert found("temporary folder").severity == "ok"
    (tmp_path / f"dfray-{os.getuid()}").chmod(0o777)
    assert found("temporary folder").severity == "refuse"
    assert "that you alone may write to" in found("temporary folder").message


def test_a_gpu_that_torch_cannot_use_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(machine, "local_node", lambda _: Node({"CPU": 8, "GPU": 2}))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    finding = found("GPU")
    assert finding.severity == "refuse"
    assert finding.message.startswith("Ray counts 2 GPU(s), and torch")


def test_model_files_that_are_not_fetched_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFRAY_CACHE", str(tmp_path))
    assert found("model files").severity == "refuse"
    assert "dfray models fetch" in found("model files").hint


@pytest.mark.parametrize(
    ("name", "variable"), [("object store", "AWS_ENDPOINT_URL"), ("MLflow", "MLFLOW_TRACKING_URI")]
)
def test_a_server_is_asked_only_if_the_environment_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, variable: str
) -> None:
    monkeypatch.delenv(variable, raising=False)
    assert found(name).severity == "ok"
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    assert found(name).severity == "refuse"
    assert "answers" in found(name).message


def test_an_object_store_that_refuses_the_request_answers(s3_endpoint: str) -> None:
    assert found("object store") == Finding(f"{s3_endpoint} answers", "", "ok", "object store")


def test_versions_are_compared_with_the_lock_of_this_platform(tmp_path: Path) -> None:
    lock, installed = tmp_path / "requirements.txt", installed_version("packaging")
    lock.write_text(
        f"# comment\npackaging=={installed} \\\n    --hash=sha256:0\nrich==0.1 \\\n"
        "numpy==0.1 ; sys_platform == 'none' \\\nnot-installed==1\n"
    )
    assert differs_from_lock(lock) == [f"rich {installed_version('rich')} (0.1)"]
    assert differs_from_lock(tmp_path / "gone.txt") == []
