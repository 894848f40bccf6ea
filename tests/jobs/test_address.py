"""Which cluster is meant: as said, by the environment, or the one that cluster/local.sh has left."""

from __future__ import annotations

import os

import pytest

from dfray.access import dashboard_address
from dfray.errors import UserError


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch, tmp_path):
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setenv("DFRAY_CLUSTER_DIR", str(tmp_path))


def test_what_is_said_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "http://one:8265")
    assert dashboard_address(None) == "http://one:8265"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://two:8265")
    assert dashboard_address(None) == "http://two:8265"
    assert dashboard_address("https://three:1/") == "https://three:1"
    assert dashboard_address("four:8265") == "http://four:8265"


def test_the_cluster_that_local_sh_has_left_brings_its_token(tmp_path):
    (tmp_path / "jobs").write_text("http://127.0.0.1:5\n")
    assert dashboard_address(None) == "http://127.0.0.1:5"
    assert os.environ["RAY_AUTH_TOKEN_PATH"] == str(tmp_path / "token")


def test_a_token_that_is_set_stays(tmp_path, monkeypatch):
    (tmp_path / "jobs").write_text("http://127.0.0.1:5\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given")
    dashboard_address(None)
    assert "RAY_AUTH_TOKEN_PATH" not in os.environ


def test_without_any_it_is_said_how_to_name_one():
    with pytest.raises(UserError, match=r"--address http://HOST:8265.*cluster/local.sh up"):
        dashboard_address(None)
