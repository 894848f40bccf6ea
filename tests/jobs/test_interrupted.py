"""Ctrl-C in the middle of the upload: one sentence, and how to find out whether the job is there."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import pytest

from tests.helpers.cluster import REPOSITORY

ANSWERS = {
    "/api/version": {"version": "4", "ray_version": version("ray")},
    "/nodes": {"data": {"hostNameList": [platform.node()]}},
    "/api/jobs/": [],
}


@pytest.fixture
def uploading() -> Iterator[tuple[str, threading.Event]]:
    """A dashboard that takes a package's first bytes and never answers; set once they are there."""
    begun, over = threading.Event(), threading.Event()

    class Dashboard(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            self.send_response(200 if path in ANSWERS else 404)
            self.end_headers()
            self.wfile.write(json.dumps(ANSWERS.get(path)).encode())

        def do_PUT(self) -> None:
            self.rfile.read(1000)
            begun.set()
            over.wait()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Dashboard)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", begun
    over.set()
    server.shutdown()
    server.server_close()


def test_ctrl_c_in_the_middle_of_the_upload_says_how_to_find_out(uploading, tmp_path):
    url, begun = uploading
    submitting = subprocess.Popen(
        [
            "env",
            "--default-signal=INT",
            sys.executable,
            "-m",
            "dfray.cli",
            "submit",
            "extract",
            "demo",
            "--address",
            url,
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert begun.wait(60)
    submitting.send_signal(signal.SIGINT)
    _, err = submitting.communicate(timeout=60)
    assert submitting.returncode == 130
    assert "Stopped while job demo-extract-" in err
    assert "`dfray jobs` shows whether the cluster has it" in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
