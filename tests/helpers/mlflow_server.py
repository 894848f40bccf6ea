"""A real MLflow server on loopback, for as long as a block lasts."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dfray.tracking.client import connect
from tests.helpers.ports import free_port
from tests.helpers.processes import wait_for


@contextmanager
def mlflow_server(
    folder: Path, database: str | None = None, artifacts: str | None = None
) -> Iterator[str]:
    """The URL of a server that hands artifacts through.

    Args:
        database: URI; default: a file in `folder`.
        artifacts: where files are kept; default: in `folder`.
    """
    if database is None:
        database = f"sqlite:///{folder}/mlflow.db"
        connect(database)  # the tables are made here, not by each of the server's processes
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--backend-store-uri", database]
    command += ["--artifacts-destination", artifacts or str(folder / "artifacts")]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    url = f"http://127.0.0.1:{port}"
    with (
        (folder / "server.log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment) as process,
    ):
        try:
            wait_for(lambda: _answers(url, process), timeout_s=240)
            yield url
        finally:
            process.terminate()


def _answers(url: str, process: subprocess.Popen) -> bool:
    assert process.poll() is None, "the server did not start"
    try:
        urllib.request.urlopen(f"{url}/health", timeout=1)
    except (urllib.error.URLError, OSError):
        return False
    return True
