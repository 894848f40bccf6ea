"""`dfray serve` as a command: what it prints, what it refuses, and that nothing of it is left."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import requests

from dfray import storage
from tests.helpers.commands import Command
from tests.helpers.processes import wait_for
from tests.helpers.service import register_tiny


def test_it_prints_where_it_is_and_ends_with_all_that_it_started(clip: Path, tmp_path: Path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    register_tiny(tmp_path / "made", uri, "served")
    command = [sys.executable, "-m", "dfray.cli", "serve", "--tracking-uri", uri, "--port", "0"]
    with storage.temporary_folder() as here:
        place = Path(here).parent
        before = set(place.iterdir())
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(3)]
            started = psutil.Process(process.pid).children(recursive=True)
            url, token = lines[0].split()[-1], lines[1].split()[-1]
            assert lines[0].startswith("Serving models:/served/1 on http://127.0.0.1:")
            assert lines[2].split()[-1] == f"{url}/#token={token}"
            assert re.fullmatch(r"[\w-]{32}", token)
            answer = requests.post(
                f"{url}/score",
                files={"file": ("clip.mp4", clip.read_bytes())},
                headers={"Authorization": f"Bearer {token}"},
                timeout=120,
            )
            assert answer.json()["score"]["outcome"] == "ok"
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 143
        wait_for(lambda: not any(one.is_running() for one in started), 30)
        wait_for(lambda: set(place.iterdir()) == before, 30)


def test_a_port_in_use_is_told_before_anything_starts(dfray: Command, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = dfray(tmp_path, "serve", "--port", port)
    assert done.code == 2
    assert f"Nothing can listen on 127.0.0.1:{port}" in done.err
    assert "--port" in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--no-auth", "--host", "0.0.0.0"], "add --open-to-all"),
        (["--queue", "0"], "queue 0"),
        (["--allow", "ftp://there/"], "neither a folder nor an s3:// URI"),
    ],
)
def test_a_request_that_would_not_be_safe_is_refused(
    dfray: Command, tmp_path: Path, arguments: list[str], told: str
):
    done = dfray(tmp_path, "serve", *arguments)
    assert done.code == 2
    assert told in done.err


def test_a_short_token_of_the_environment_is_refused_and_not_shown(dfray: Command, tmp_path: Path):
    done = dfray(tmp_path, "serve", DFRAY_SERVE_TOKEN="short")
    assert done.code == 2
    assert "DFRAY_SERVE_TOKEN" in done.err
    assert "short" not in done.err.replace("shorter", "").replace("too_short", "")


def test_without_the_extra_it_says_how_to_install_it(
    dfray: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "ray.serve", None)
    done = dfray(tmp_path, "serve")
    assert done.code == 2
    assert "pip install 'dfray[serve]'" in done.err


def test_a_registry_without_a_champion_is_told(dfray: Command, tmp_path: Path):
    done = dfray(tmp_path, "serve", "--port", "0", RAY_ADDRESS=os.environ.get("RAY_ADDRESS", ""))
    assert done.code != 0
    assert "No model has a champion" in done.err
