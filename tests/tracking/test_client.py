"""Where MLflow keeps things, and what is said when it cannot be reached."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from dfray.config import RegistrySection
from dfray.errors import RegistryError, UserError
from dfray.tracking.client import artifact_root, connect, resolve_tracking_uri
from tests.helpers.ports import free_port


def test_the_default_lies_under_the_work_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    uri = resolve_tracking_uri(RegistrySection(), "my runs")
    assert uri == f"sqlite:///{tmp_path}/my runs/mlflow.db"
    assert artifact_root(uri) == (tmp_path / "my runs" / "mlartifacts").as_uri()


def test_the_environment_names_a_server_where_the_recipe_does_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert resolve_tracking_uri(RegistrySection(), "s3://b/runs") == "http://mlflow:5000"
    named = RegistrySection(tracking_uri="http://other:5000")
    assert resolve_tracking_uri(named, "s3://b/runs") == "http://other:5000"


def test_a_server_keeps_its_own_artifacts():
    uri = resolve_tracking_uri(RegistrySection(tracking_uri="https://mlflow:5000"), "s3://b/runs")
    assert uri == "https://mlflow:5000"
    assert artifact_root(uri) is None


@pytest.mark.parametrize("uri", ["./mlruns", "file:///runs", "postgresql://db/mlflow"])
def test_stores_that_are_not_supported_are_refused(uri: str):
    with pytest.raises(UserError, match="http"):
        resolve_tracking_uri(RegistrySection(tracking_uri=uri), "runs")


def test_a_password_does_not_belong_in_a_recipe():
    section = RegistrySection(tracking_uri="https://ada:secret@mlflow:5000")
    with pytest.raises(UserError, match="MLFLOW_TRACKING_PASSWORD") as caught:
        resolve_tracking_uri(section, "runs")
    assert "secret" not in str(caught.value)


def test_a_remote_work_dir_needs_a_server():
    with pytest.raises(UserError, match="cannot lie under s3://bucket/runs"):
        resolve_tracking_uri(RegistrySection(), "s3://bucket/runs")


@pytest.mark.parametrize("work_dir", ["/runs/what?", "/my%20runs"])
def test_a_work_dir_that_would_put_the_database_elsewhere_needs_a_server(work_dir: str):
    with pytest.raises(UserError, match=re.escape(work_dir) + ".*another work_dir"):
        resolve_tracking_uri(RegistrySection(), work_dir)
    assert resolve_tracking_uri(RegistrySection(), "/100% b").endswith("/100% b/mlflow.db")
    assert resolve_tracking_uri(RegistrySection(), "/a::b").endswith("/a::b/mlflow.db")


def test_a_server_that_is_away(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    uri = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(RegistryError, match=f"No MLflow server answers at {uri}") as caught:
        connect(uri)
    assert "\n" not in str(caught.value)


def test_a_database_that_is_none(tmp_path: Path):
    (tmp_path / "mlflow.db").write_text("this is no database " * 100)
    with pytest.raises(RegistryError, match=r"mlflow.db cannot be used: file is not a database"):
        connect(f"sqlite:///{tmp_path}/mlflow.db")


def test_a_database_of_another_mlflow(tmp_path: Path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    connect(uri)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        (ours,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
        database.execute("UPDATE alembic_version SET version_num = 'f00dfeed'")
        database.commit()
    with pytest.raises(
        RegistryError, match=rf"of another MLflow \(schema f00dfeed, and this one reads {ours}\)"
    ) as caught:
        connect(f"sqlite:///{tmp_path}/./mlflow.db")  # MLflow keeps the store it opened before
    assert "mlflow db upgrade" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_database_that_may_only_be_read():
    """In a process without root's right to write past a file's own rights."""
    command = [sys.executable, "-c"]
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root may write everywhere, and there is no setpriv to take that away")
        command = ["setpriv", "--bounding-set=-dac_override", *command]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        client = connect(f"sqlite:///{folder}/mlflow.db")
        client.create_registered_model("faces")
        client.create_model_version("faces", folder.as_uri())
        (folder / "mlflow.db").chmod(0o444)
        folder.chmod(0o555)
        code = f"""
from dfray.tracking.client import talking
from dfray.registry.versions import Versions
versions = Versions("faces", "sqlite:///{folder}/mlflow.db")
print(versions.model().name)
versions.point("champion", "1")
"""
        done = subprocess.run([*command, code], capture_output=True, text=True, check=False)
        folder.chmod(0o755)
    assert done.stdout == "faces\n"
    assert "RegistryError: MLflow could not point champion of faces to version 1" in done.stderr
    assert "the registry is read-only for you" in done.stderr
    assert "Nothing was changed" in done.stderr


def test_a_new_store_is_made_without_a_word_and_nowhere_else(tmp_path: Path):
    """In a process of its own: nothing is printed, and the current folder stays empty."""
    here = tmp_path / "here"
    here.mkdir()
    uri = f"sqlite:///{tmp_path}/store/mlflow.db"
    code = f"from dfray.tracking.client import connect; connect({uri!r})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k != "PYTHONWARNINGS"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(here.iterdir()) == []
