"""Getting into a cluster: whatever is wrong is one sentence, within seconds."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import pytest

from dfray import access
from dfray.errors import ClusterError


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The URL of a server on loopback that gives every GET the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def of_ray(number: str) -> bytes:
    return json.dumps({"version": "4", "ray_version": number}).encode()


def refusal_of(url: str) -> str | None:
    """What a cluster is refused with; None: it lets us in."""
    try:
        access.require_dashboard(url)
    except ClusterError as error:
        return str(error)
    return None


def test_a_cluster_of_the_same_ray_lets_us_in_and_another_is_refused_with_both_versions():
    with answering(200, of_ray(version("ray"))) as url:
        assert refusal_of(url) is None
    with answering(200, of_ray("2.40.0")) as url:
        told = f"runs Ray 2.40.0, and this environment has Ray {version('ray')}"
        assert told in (refusal_of(url) or "")


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, b"", "HTTP status 404"),
        (200, b"<html>", "something else than Ray answers there"),
        (200, b"{}", "something else than Ray answers there"),
        (200, b"[]", "something else than Ray answers there"),
    ],
)
def test_what_is_no_dashboard_is_said(status, body, told):
    with answering(status, body) as url, pytest.raises(ClusterError, match=told) as refused:
        access.require_dashboard(url)
    assert url in str(refused.value)


def test_a_dead_address_is_said():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(
            ClusterError, match=rf"No Ray cluster accepts jobs at {dead}: .*refused"
        ):
            access.require_dashboard(dead)


def test_an_address_that_accepts_and_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(access, "_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        start = time.monotonic()
        with pytest.raises(ClusterError, match="timed out"):
            access.require_dashboard(f"http://127.0.0.1:{mute.getsockname()[1]}")
        assert time.monotonic() - start < 5


def test_the_token_is_found_where_ray_finds_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    assert access.authorization() == {}
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("home\n")
    assert access.authorization() == {"authorization": "Bearer home"}
    (tmp_path / "named").write_text("named\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "named"))
    assert access.authorization() == {"authorization": "Bearer named"}
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given")
    assert access.authorization() == {"authorization": "Bearer given"}
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert access.authorization() == {}


def test_a_token_file_that_is_named_and_not_there_is_said(monkeypatch):
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/nowhere")
    told = r"RAY_AUTH_TOKEN_PATH cannot be read: .*/nowhere.*unset RAY_AUTH_TOKEN_PATH"
    with pytest.raises(ClusterError, match=told):
        access.authorization()
    with pytest.raises(ClusterError, match=told):
        access.use_token(own=True)  # Ray would give up on it in words of its own


def test_a_missing_a_wrong_and_a_switched_off_token_are_told_apart(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    told = "refuses the token that is set here"
    with answering(403, b"Forbidden") as url, pytest.raises(ClusterError, match=told):
        access.require_dashboard(url)
    with answering(401, b"Unauthorized") as url:
        monkeypatch.delenv("RAY_AUTH_TOKEN")
        with pytest.raises(ClusterError, match="asks for a token, and there is none here"):
            access.require_dashboard(url)
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
        with pytest.raises(ClusterError, match="RAY_AUTH_MODE is disabled here"):
            access.require_dashboard(url)


def test_a_cluster_without_tokens_is_used_only_if_that_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    with answering(200, of_ray(version("ray"))) as url:
        with pytest.raises(
            ClusterError, match="asks for no token: whoever reaches it can run code"
        ):
            access.require_dashboard(url)
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
        access.require_dashboard(url)


def test_a_local_cluster_gets_a_fresh_token_of_its_own_and_leaves_no_file(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(access.sys, "modules", {})
    access.use_token(own=True)
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [("RAY_AUTH_MODE", "disabled"), ("RAY_AUTH_TOKEN", "given")])
def test_what_the_environment_says_of_tokens_stays(monkeypatch, given):
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv(*given)
    monkeypatch.setattr(access.sys, "modules", {})
    before = dict(os.environ)
    access.use_token(own=True)
    assert dict(os.environ) == before
