"""What of the submitter's environment a job gets, and what it asks of the environment it runs in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dfray.errors import UserError
from dfray.jobs.environment import variables, withheld

REPOSITORY = Path(__file__).parents[2]


def test_storage_tracking_hub_and_our_own_variables_go_along_and_no_others(monkeypatch):
    for name in list(os.environ):
        monkeypatch.delenv(name)
    sent = {"AWS_ENDPOINT_URL": "u", "MLFLOW_TRACKING_URI": "m", "HF_HOME": "t", "DFRAY_X": "1"}
    kept = {"RAY_AUTH_TOKEN": "secret", "RAY_ADDRESS": "a", "HOME": "/h", "PASSWORD": "p"}
    for name, value in (sent | kept | {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "1"}).items():
        monkeypatch.setenv(name, value)
    assert variables([]) == sent | {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "1"}
    assert variables(["PASSWORD"])["PASSWORD"] == "p"


def test_secrets_stay_here_unless_they_are_requested_by_name(monkeypatch):
    for name in list(os.environ):
        monkeypatch.delenv(name)
    files = {
        "AWS_SHARED_CREDENTIALS_FILE": "/f",
        "HF_TOKEN_PATH": "/t",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/w",
    }
    secrets = {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_SESSION_TOKEN": "t",
        "HF_TOKEN": "t",
        "MLFLOW_TRACKING_PASSWORD": "p",
        "MLFLOW_TRACKING_TOKEN": "t",
        "MLFLOW_TRACKING_URI": "postgresql://me:word@host/db",
    }
    for name, value in (files | secrets).items():
        monkeypatch.setenv(name, value)
    assert variables([]) == files
    assert withheld([]) == sorted(secrets)
    assert variables(["HF_TOKEN"]) == files | {"HF_TOKEN": "t"}
    assert withheld(["HF_TOKEN"]) == sorted(secrets.keys() - {"HF_TOKEN"})


def test_a_variable_that_is_named_and_not_set_is_said(monkeypatch):
    monkeypatch.delenv("MISSING", raising=False)
    with pytest.raises(UserError, match=r"--env names MISSING, not set in this"):
        variables(["MISSING"])


def python_without(folder: Path, *packages: str) -> Path:
    """A Python of its own that has the packages of this one but for those."""
    import sysconfig

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (there,) = folder.glob("lib/python*/site-packages")
    left_out = {name.lower() for name in packages}
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.name.partition("-")[0].lower() not in left_out and entry.suffix != ".pth":
            (there / entry.name).symlink_to(entry)
    return folder / "bin" / "python"


def test_a_package_that_is_missing_is_named_before_anything_starts(tmp_path):
    python = python_without(tmp_path / "python", "mediapipe", "typer")
    done = subprocess.run(
        [python, REPOSITORY / "jobs" / "extract.py", "demo"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"dfray: error: Python of {tmp_path / 'python'} on ")
    assert "has no mediapipe, typer, which dfray imports" in line
    assert "infra/Dockerfile" in line
