"""The whole road through the registry against a real MLflow server."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfray.registry.connection import connect
from dfray.registry.package import downloaded_bundle, register
from dfray.registry.promote import history, promote
from dfray.registry.score import score_files
from dfray.registry.tracking import start_run
from tests.registry.tiny import FIGURES, RECIPE, SECTION


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The URL of a server on loopback that hands artifacts through."""
    database = f"sqlite:///{tmp_path}/mlflow.db"
    connect(database)  # the tables are made here, not by each of the server's processes
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--backend-store-uri", database]
    command += ["--artifacts-destination", str(tmp_path / "artifacts")]
    log = (tmp_path / "server.log").open("wb")
    with log, subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_for(url, process)
            yield url
        finally:
            process.terminate()


def _wait_for(url: str, process: subprocess.Popen) -> None:
    for _ in range(300):
        assert process.poll() is None, "the server did not start"
        try:
            urllib.request.urlopen(f"{url}/health", timeout=1)
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    pytest.fail("the server did not answer for a minute")


def test_register_promote_and_score_without_a_word(
    server: str, bundle_dir: Path, clip: Path, capfd: pytest.CaptureFixture
):
    with start_run(RECIPE, server, manifest_fingerprint="m") as run:
        run.log_metrics({"loss": 0.5}, step=0)
        version = register(
            bundle_dir,
            section=SECTION,
            tracking_uri=server,
            run_id=run.run_id,
            figures=FIGURES,
        )
    decision = promote(SECTION, server, evaluate=lambda _: FIGURES)
    assert history(SECTION, server) == [decision]
    (scored,) = score_files([str(clip)], tracking_uri=server)
    assert (scored.outcome, scored.n_faces) == ("ok", 4)
    with downloaded_bundle(SECTION.model_name, version, server) as folder:
        assert (Path(folder) / "bundle.json").is_file()
    assert not Path(folder).exists()
    assert capfd.readouterr() == ("", "")
