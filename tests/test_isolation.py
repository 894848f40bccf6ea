"""The process that decodes strangers' files inherits what libraries read, and no credentials."""

from __future__ import annotations

import pytest

from dfray.isolation import isolated_environment

SECRETS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "MLFLOW_TRACKING_PASSWORD": "password",
    "RAY_AUTH_TOKEN": "token",
    "HF_TOKEN": "token",
}


def test_the_child_holds_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    inherited = isolated_environment()
    assert not SECRETS.keys() & inherited.keys()
    assert {"PATH", "OMP_NUM_THREADS", "PYTHONPATH"} <= inherited.keys()


def test_freed_pictures_are_kept_by_the_allocator_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "4096")
    inherited = isolated_environment()
    assert int(inherited["MALLOC_TRIM_THRESHOLD_"]) > 2 * 1920 * 1080 * 3
    assert inherited["MALLOC_MMAP_THRESHOLD_"] == "4096"
